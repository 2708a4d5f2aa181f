package pattoo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"pattoo/internal/host"
)

// Settings reads what the operator set for this collector into the struct that into points to.
//
// A setting that is missing is an error, unless its field says omitempty; one that the struct does not have is left alone.
//
//	var settings struct {
//		Device string `json:"device"`
//		Note   string `json:"note,omitempty"`
//	}
//	if err := pattoo.Settings(&settings); err != nil {
//		return err
//	}
func Settings(into any) error { return readSettings(into, false) }

// StrictSettings does the same, and takes a setting that the struct does not have for an error: a misspelt one, as a rule.
func StrictSettings(into any) error { return readSettings(into, true) }

func readSettings(into any, strict bool) error {
	text := []byte(host.Settings())
	decoder := json.NewDecoder(bytes.NewReader(text))
	if strict {
		decoder.DisallowUnknownFields()
	}
	err := decoder.Decode(into)
	if err == nil {
		err = complete(text, reflect.TypeOf(into))
	}
	if err != nil {
		// The operator wrote YAML or flags, and does not see the JSON in between.
		return fmt.Errorf("the settings do not fit: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// complete is an error if a member that is not optional is missing.
func complete(text []byte, into reflect.Type) error {
	for into.Kind() == reflect.Pointer {
		into = into.Elem()
	}
	if into.Kind() != reflect.Struct {
		return nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		// It is a type that reads itself, such as time.Time.
		return nil
	}
	for i := range into.NumField() {
		field := into.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || name == "-" && options == "" || field.Anonymous && name == "" {
			continue
		}
		if name == "" {
			name = field.Name
		}
		member, found := members[name]
		for key, other := range members {
			if !found && strings.EqualFold(key, name) {
				member, found = other, true
			}
		}
		optional := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
		if !found && !optional {
			return fmt.Errorf("missing setting %q", name)
		}
		if found {
			if err := complete(member, field.Type); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}
