package pattoo

import (
	"errors"
	"fmt"
	"strings"

	"pattoo/internal/host"
)

// Target is the device, site or thing that was measured, such as plc1 or SITE_A: 1 to 512 bytes.
//
//	err := pattoo.Target("SITE_A").Emit("ABC", pattoo.Float(123.456))
//
// The runtime takes a datapoint or says why not. Refused datapoints are logged and counted for the operator in any case, and
// what was taken is kept even if the collection fails later.
type Target string

// Emit emits one value. A refusal is an error, so in a loop over many values [Target.EmitAll] serves better.
func (t Target) Emit(key string, value Value) error { return t.EmitPoint(Point(key, value)) }

// EmitPoint emits one datapoint.
func (t Target) EmitPoint(point Datapoint) error {
	refused, err := t.EmitAll(point)
	if err == nil && len(refused) > 0 {
		err = &EmitError{Target: t, Rejections: refused, kind: ErrRejected}
	}
	return err
}

// EmitAll emits many datapoints in one step. One that is refused costs no other and is among those returned. The error is an
// [*EmitError], and none of them were taken: the target's name is not valid, or the collection has emitted all that it may.
func (t Target) EmitAll(points ...Datapoint) ([]Rejection, error) {
	lowered := make([]host.Datapoint, len(points))
	for i, point := range points {
		lowered[i] = point.lowered()
	}
	refused, failure := host.Emit(string(t), lowered)
	if failure != nil {
		kinds := map[uint8]error{host.EmitTarget: ErrTarget, host.EmitQuota: ErrQuota}
		return nil, &EmitError{Target: t, text: failure.Text, kind: kinds[failure.Case]}
	}
	rejections := make([]Rejection, 0, len(refused))
	for _, rejection := range refused {
		index := int(rejection.Index)
		rejections = append(rejections, Rejection{index, points[index].Key, newReason(rejection.Reason)})
	}
	return rejections, nil
}

// Why datapoints were not taken, for errors.Is.
var (
	// ErrRejected: some were refused; the others of the same call were taken.
	ErrRejected = errors.New("refused")
	// ErrTarget: the name of the target is empty, too long, or not printable. None were taken.
	ErrTarget = errors.New("not the name of a target")
	// ErrQuota: the collection has emitted all that its operator allows. None were taken.
	ErrQuota = errors.New("quota")
)

// EmitError says that datapoints of a target were not taken.
type EmitError struct {
	// Target is the name of the target.
	Target Target
	// Rejections are those that were refused, if the others were taken.
	Rejections []Rejection
	text       string
	kind       error
}

func (e *EmitError) Error() string {
	text := e.text
	if len(e.Rejections) > 0 {
		texts := make([]string, len(e.Rejections))
		for i, rejection := range e.Rejections {
			texts[i] = rejection.String()
		}
		text = strings.Join(texts, "; ")
	}
	return fmt.Sprintf("target %q: %s", string(e.Target), text)
}

// Unwrap is what errors.Is compares: ErrRejected, ErrTarget or ErrQuota, or nil for what a later version of the contract has to say.
func (e *EmitError) Unwrap() error { return e.kind }

// Rejection is one datapoint that was not taken.
type Rejection struct {
	// Index is its place among those that were emitted together, from 0.
	Index int
	// Key is its key, as it was given.
	Key string
	// Reason says why.
	Reason Reason
}

func (r Rejection) String() string {
	return fmt.Sprintf("datapoint %q was refused: %s", r.Key, r.Reason)
}

// Reason is why a datapoint was not taken, in words for the author of the collector.
type Reason struct {
	// Kind is what of it is wrong.
	Kind ReasonKind
	text string
}

func (r Reason) String() string {
	if r.Kind == ReasonDuplicate {
		return "another one with the same key, type and identifying metadata was emitted before"
	}
	return r.text
}

// ReasonKind is what of a datapoint is wrong.
type ReasonKind uint8

// The kinds of reasons.
const (
	// ReasonKey: the key is empty, too long, or contains pattoo.
	ReasonKey ReasonKind = host.ReasonKey
	// ReasonValue: the value is not a finite number below 1e30, or a text that is too long.
	ReasonValue ReasonKind = host.ReasonValue
	// ReasonMetadata: a metadatum has an invalid key.
	ReasonMetadata ReasonKind = host.ReasonMetadata
	// ReasonTimestamp: the timestamp lies too far in the future.
	ReasonTimestamp ReasonKind = host.ReasonTimestamp
	// ReasonDuplicate: another datapoint of this target and collection has the same key, type and identifying metadata.
	ReasonDuplicate ReasonKind = host.ReasonDuplicate
	// ReasonOther: what a later version of the contract may have to say.
	ReasonOther ReasonKind = host.ReasonOther
)

func newReason(reason host.Failure) Reason {
	return Reason{Kind: min(ReasonKind(reason.Case), ReasonOther), text: reason.Text}
}
