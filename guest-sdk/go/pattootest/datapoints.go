//go:build !wasip1

package pattootest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"pattoo"
	"pattoo/internal/host"
)

const (
	// The runtime's default for one collection.
	maxDatapoints = 10_000
	// The width of the server's columns for keys and targets.
	maxBytes = 512
	// The limit of the server's numeric column.
	maxValue = 1e30
	// The server starts every series at 1 and takes only what is newer, in milliseconds.
	earliest = 2
	// The runtime's default for clocks that go wrong, in milliseconds.
	maxAhead = 5 * 60 * 1000
)

func checkTarget(target string) *host.Failure {
	if len(target) < 1 || len(target) > maxBytes {
		text := fmt.Sprintf("the name of a target is 1 to %d bytes, not %d", maxBytes, len(target))
		return &host.Failure{Case: host.EmitTarget, Text: text}
	}
	if strings.TrimSpace(target) == "" || strings.ContainsFunc(target, unicode.IsControl) {
		return &host.Failure{Case: host.EmitTarget, Text: "the name of a target is printable"}
	}
	return nil
}

// take is the datapoint as pattoo has it, or why it is refused.
func (r *run) take(target string, point host.Datapoint) (pattoo.Datapoint, *host.Failure) {
	var none pattoo.Datapoint
	key, wrong := normalKey(r.host.Program, point.Key)
	if wrong != "" {
		return none, &host.Failure{Case: host.ReasonKey, Text: wrong}
	}
	value, wrong := normalValue(point.Value)
	if wrong != "" {
		return none, &host.Failure{Case: host.ReasonValue, Text: wrong}
	}
	taken := pattoo.Point(key, value)
	// What pattoo hashes to tell one series of a collection from another. It puts nothing between a key and what follows.
	identity := target + "\x00" + key + dataTypes[point.Value.Case]
	for _, metadatum := range point.Metadata {
		name, wrong := normalKey(r.host.Program, metadatum.Key)
		if wrong != "" {
			return none, &host.Failure{Case: host.ReasonMetadata, Text: wrong}
		}
		// Of two with the same key the first counts.
		if slices.ContainsFunc(taken.Metadata, func(other pattoo.Metadatum) bool { return other.Key == name }) {
			continue
		}
		normal := pattoo.Metadatum{Key: name, Value: strip(metadatum.Value), Identifying: metadatum.Identifying}
		taken.Metadata = append(taken.Metadata, normal)
		if normal.Identifying {
			identity += "\x00" + normal.Key + normal.Value
		}
	}
	if point.Timed {
		if point.Timestamp < earliest {
			return none, &host.Failure{Case: host.ReasonTimestamp, Text: "the timestamp lies before anything that pattoo stores"}
		}
		if point.Timestamp > r.Now()+maxAhead {
			return none, &host.Failure{Case: host.ReasonTimestamp, Text: "the timestamp is more than 5 minutes ahead of now"}
		}
		taken.Time = time.UnixMilli(int64(point.Timestamp))
	}
	if r.seen[identity] {
		return none, &host.Failure{Case: host.ReasonDuplicate}
	}
	r.seen[identity] = true
	return taken, nil
}

// The numbers that pattoo has for the types, by their cases.
var dataTypes = [...]string{"99", "99", "101", "32", "64", "2"}

func normalKey(program, key string) (normal, wrong string) {
	key = strip(strings.ToLower(key))
	switch {
	case key == "":
		return "", "a key is not empty"
	// The server stores them as one word with a _ between.
	case len(program)+1+len(key) > maxBytes:
		return "", fmt.Sprintf("program and key together are longer than the %d bytes that the server has for them", maxBytes)
	case strings.Contains(key, "pattoo"):
		return "", fmt.Sprintf("the key %q contains `pattoo`, which belongs to pattoo itself", key)
	default:
		return key, ""
	}
}

func normalValue(value host.Value) (normal pattoo.Value, wrong string) {
	switch value.Case {
	case host.Integer:
		return pattoo.Integer(value.Integer), ""
	case host.Counter32:
		return pattoo.Counter32(uint32(value.Counter)), ""
	case host.Counter64:
		return pattoo.Counter64(value.Counter), ""
	case host.Text:
		return pattoo.Text(strip(value.Text)), ""
	}
	if math.IsNaN(value.Number) || math.Abs(value.Number) >= maxValue {
		return pattoo.Value{}, fmt.Sprintf("the value %v is not a finite number below 1e30", value.Number)
	}
	if value.Case == host.Scaled {
		return pattoo.Scaled(value.Number), ""
	}
	return pattoo.Float(value.Number), ""
}

// strip removes what Python's str.strip does: white space, and four separators that Go does not count as such.
func strip(text string) string {
	return strings.TrimFunc(text, func(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f })
}
