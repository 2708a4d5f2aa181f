package pattoo

import (
	"fmt"
	"strconv"
	"time"

	"pattoo/internal/host"
)

// Value is a measured value. The function that makes it chooses pattoo's data type. Values can be compared with ==.
type Value struct {
	value host.Value
}

type integer interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32
}

type number interface {
	integer | ~float32 | ~float64
}

// Integer is a whole number. Example: a register that counts litres.
func Integer[N integer](n N) Value {
	return Value{host.Value{Case: host.Integer, Integer: int64(n)}}
}

// Scaled is a number that was whole before a multiplier was applied, which pattoo files under integers. Example: register 235 × 0.1 =
// 23.5.
func Scaled[N number](n N) Value {
	return Value{host.Value{Case: host.Scaled, Number: float64(n)}}
}

// Float is a floating-point number, finite and of an absolute value below 1e30. Example: a price of 123.456.
func Float[N number](n N) Value {
	return Value{host.Value{Case: host.Float, Number: float64(n)}}
}

// Counter32 is a counter that only grows and wraps at 2^32. Pattoo stores its rate of change.
func Counter32(n uint32) Value {
	return Value{host.Value{Case: host.Counter32, Counter: uint64(n)}}
}

// Counter64 is a counter that only grows and wraps at 2^64. Pattoo stores its rate of change.
func Counter64(n uint64) Value {
	return Value{host.Value{Case: host.Counter64, Counter: n}}
}

// Text is text. White space around it is removed. The server accepts text and keeps it out of its time series.
func Text(text string) Value {
	return Value{host.Value{Case: host.Text, Text: text}}
}

// String shows the type and the number or text, as in float(123.456).
func (v Value) String() string {
	switch v.value.Case {
	case host.Integer:
		return fmt.Sprintf("integer(%d)", v.value.Integer)
	case host.Scaled:
		return "scaled(" + strconv.FormatFloat(v.value.Number, 'g', -1, 64) + ")"
	case host.Float:
		return "float(" + strconv.FormatFloat(v.value.Number, 'g', -1, 64) + ")"
	case host.Counter32:
		return fmt.Sprintf("counter32(%d)", v.value.Counter)
	case host.Counter64:
		return fmt.Sprintf("counter64(%d)", v.value.Counter)
	default:
		return fmt.Sprintf("text(%q)", v.value.Text)
	}
}

// Metadatum is a name and a value that describe a datapoint, such as unit = 007.
type Metadatum struct {
	// Key is lower-cased and stripped of white space around it; refused when then empty, when it contains pattoo, or when it is too long.
	Key string
	// Value is stripped of white space around it; it may be empty.
	Value string
	// Identifying says whether this is part of what makes the series what it is: see [Datapoint.With] and [Datapoint.Note].
	Identifying bool
}

// Datapoint is one measurement of one thing at one moment.
type Datapoint struct {
	// Key is what was measured, such as input_register_30386. Lower-cased and stripped of white space around it; refused when then
	// empty, when it contains pattoo, or when it is too long (program and key together hold 512 bytes).
	Key string
	// Value is the measured value.
	Value Value
	// Time is when it was measured, in milliseconds; the zero time stands for the moment in which it is emitted.
	Time time.Time
	// Metadata is in the order in which it enters pattoo's checksum: the same in another order is another series.
	Metadata []Metadatum
}

// Point is a datapoint without metadata, measured when it is emitted.
func Point(key string, value Value) Datapoint { return Datapoint{Key: key, Value: value} }

// With adds an identifying metadatum: another value is another series on the server. Example: a unit or serial number.
// The value is written as fmt.Sprint writes it, since metadata is always text in pattoo.
func (d Datapoint) With(key string, value any) Datapoint { return d.describe(key, value, true) }

// Note adds a metadatum that can change without starting a new series. Example: a firmware version.
func (d Datapoint) Note(key string, value any) Datapoint { return d.describe(key, value, false) }

// At says when it was measured. More than 5 minutes ahead of the host's clock (unless set otherwise) is refused.
func (d Datapoint) At(time time.Time) Datapoint {
	d.Time = time
	return d
}

func (d Datapoint) describe(key string, value any, identifying bool) Datapoint {
	// A copy: two datapoints that were made of the same one must not share what follows.
	d.Metadata = append(d.Metadata[:len(d.Metadata):len(d.Metadata)], Metadatum{key, fmt.Sprint(value), identifying})
	return d
}

// lowered is the datapoint as the contract has it.
func (d Datapoint) lowered() host.Datapoint {
	point := host.Datapoint{Key: d.Key, Value: d.Value.value, Timed: !d.Time.IsZero()}
	if point.Timed {
		// A time before 1970 is as unusable as 0, which the runtime refuses.
		point.Timestamp = uint64(max(0, d.Time.UnixMilli()))
	}
	for _, metadatum := range d.Metadata {
		point.Metadata = append(point.Metadata, host.Metadatum(metadatum))
	}
	return point
}
