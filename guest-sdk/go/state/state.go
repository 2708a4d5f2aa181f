// Package state keeps small values from one collection of this program to the next, such as a cursor or the last value seen.
//
// Reads see the collection's own writes. What was written is kept, all of it at once, only when the collection ends well: one
// that fails changes nothing.
package state

import (
	"errors"
	"fmt"

	"pattoo/internal/host"
)

// Get is the value of a key, and whether it was ever set.
func Get(key string) (value []byte, found bool) { return host.StateGet(key) }

// GetString is the value of a key as text, and whether it was ever set.
func GetString(key string) (value string, found bool) {
	bytes, found := host.StateGet(key)
	return string(bytes), found
}

// Set sets a value, replacing the one before. A key is 1 to 255 bytes; all keys and values of a program together are at most 1 MiB
// unless set otherwise. The error is an [*Error].
func Set(key string, value []byte) error {
	failure := host.StateSet(key, value)
	if failure == nil {
		return nil
	}
	kinds := map[uint8]error{host.StateQuota: ErrQuota, host.StateInvalid: ErrInvalid}
	return &Error{Key: key, text: failure.Text, kind: kinds[failure.Case]}
}

// SetString sets a value that is text.
func SetString(key, value string) error { return Set(key, []byte(value)) }

// Remove removes a key. One that was never set is not an error.
func Remove(key string) { host.StateRemove(key) }

// Keys are all keys, sorted by their bytes.
func Keys() []string { return host.StateKeys() }

// Why a value was not set, for errors.Is.
var (
	// ErrQuota: the program's values are as large as its operator allows.
	ErrQuota = errors.New("quota")
	// ErrInvalid: the key is empty or too long.
	ErrInvalid = errors.New("invalid key")
)

// Error says that a value was not set.
type Error struct {
	// Key is the key of the value.
	Key  string
	text string
	kind error
}

func (e *Error) Error() string { return fmt.Sprintf("state %q was not set: %s", e.Key, e.text) }

// Unwrap is what errors.Is compares: ErrQuota or ErrInvalid, or nil for what a later version of the contract has to say.
func (e *Error) Unwrap() error { return e.kind }
