// Package decode says what registers mean: integers and floats of 16, 32 and 64 bits in every word and byte order, BCD, bits, and
// text.
//
// Modbus transmits registers of 16 bits and says nothing about anything wider, so each manufacturer chose an [Order]. Manuals
// name it by what becomes of the four bytes ABCD, most significant first.
//
//	registers, err := modbus.NewDevice("plc1").Holding(100, 2)
//	if err != nil {
//		return err
//	}
//	flow, err := decode.New(registers, decode.CDAB).Float32(0)
package decode

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Order is how the bytes of a value are spread over registers. A is the most significant byte, and a register transmits its
// high byte first.
//
// The order holds for each width: values of 64 bits are the same with eight bytes, values of 16 bits have no word order and
// differ only in whether their two bytes are swapped.
type Order uint8

// The four orders. In settings they are written ABCD, CDAB, BADC or DCBA; the names with eight letters are understood, too.
const (
	// ABCD, ABCDEFGH: big-endian, the order of Modbus itself and the most common.
	ABCD Order = iota
	// CDAB, GHEFCDAB: the least significant register first, known as word-swapped.
	CDAB
	// BADC, BADCFEHG: the two bytes of each register swapped.
	BADC
	// DCBA, HGFEDCBA: both, which is little-endian.
	DCBA
)

var (
	shortNames = []string{"ABCD", "CDAB", "BADC", "DCBA"}
	longNames  = []string{"ABCDEFGH", "GHEFCDAB", "BADCFEHG", "HGFEDCBA"}
)

func (o Order) String() string { return shortNames[o] }

// MarshalText writes the name that an order has in settings.
func (o Order) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads it.
func (o *Order) UnmarshalText(text []byte) error {
	for _, names := range [][]string{shortNames, longNames} {
		if order := slices.Index(names, string(text)); order >= 0 {
			*o = Order(order)
			return nil
		}
	}
	return fmt.Errorf("there is no order %q; there are ABCD, CDAB, BADC and DCBA", text)
}

// Registers are registers that were read, and the order of their device.
//
// Every function takes the place of the value's first register among them, from 0: not the address in the device. Its error is a
// [*RangeError] when there are not enough registers.
type Registers struct {
	registers []uint16
	order     Order
}

// New are registers whose values lie in that order.
func New(registers []uint16, order Order) Registers { return Registers{registers, order} }

// InOrder are the same registers, read in another order.
func (r Registers) InOrder(order Order) Registers { return Registers{r.registers, order} }

// Uint16 is one register, unsigned.
func (r Registers) Uint16(place int) (uint16, error) {
	bits, err := r.bits(place, 1)
	return uint16(bits), err
}

// Int16 is one register in two's complement.
func (r Registers) Int16(place int) (int16, error) {
	bits, err := r.bits(place, 1)
	return int16(bits), err
}

// Uint32 is two registers, unsigned.
func (r Registers) Uint32(place int) (uint32, error) {
	bits, err := r.bits(place, 2)
	return uint32(bits), err
}

// Int32 is two registers in two's complement.
func (r Registers) Int32(place int) (int32, error) {
	bits, err := r.bits(place, 2)
	return int32(bits), err
}

// Uint64 is four registers, unsigned.
func (r Registers) Uint64(place int) (uint64, error) { return r.bits(place, 4) }

// Int64 is four registers in two's complement.
func (r Registers) Int64(place int) (int64, error) {
	bits, err := r.bits(place, 4)
	return int64(bits), err
}

// Float16 is one register as IEEE 754 binary16, which has eleven significant bits. It may be infinite or not a number, which
// pattoo refuses. The same holds for the two below.
func (r Registers) Float16(place int) (float32, error) {
	bits, err := r.bits(place, 1)
	return half(uint16(bits)), err
}

// Float32 is two registers as IEEE 754 binary32.
func (r Registers) Float32(place int) (float32, error) {
	bits, err := r.bits(place, 2)
	return math.Float32frombits(uint32(bits)), err
}

// Float64 is four registers as IEEE 754 binary64.
func (r Registers) Float64(place int) (float64, error) {
	bits, err := r.bits(place, 4)
	return math.Float64frombits(bits), err
}

// BCD16 is one register of packed BCD: four decimal digits, so that 0x1234 is 1234. The error is a [*DigitError] when a digit is above
// 9. The same holds for the two below.
func (r Registers) BCD16(place int) (uint16, error) {
	value, err := r.bcd(place, 1)
	return uint16(value), err
}

// BCD32 is two registers of packed BCD: eight decimal digits.
func (r Registers) BCD32(place int) (uint32, error) {
	value, err := r.bcd(place, 2)
	return uint32(value), err
}

// BCD64 is four registers of packed BCD: 16 decimal digits.
func (r Registers) BCD64(place int) (uint64, error) { return r.bcd(place, 4) }

// Bits are the 16 bits of a register, the least significant first: element 3 is the one of value 8.
func (r Registers) Bits(place int) (bits [16]bool, err error) {
	register, err := r.Uint16(place)
	for bit := range bits {
		bits[bit] = register>>bit&1 == 1
	}
	return bits, err
}

// Field is the number that some bits of a register make, from first to last, counted from 0 for the least significant:
// Field(0, 4, 6) of 0b0101_0000 is 5. Bits beyond the 15th are 0, and so is an empty range.
func (r Registers) Field(place, first, last int) (uint16, error) {
	register, err := r.Uint16(place)
	if first < 0 || last < first || first > 15 {
		return 0, err
	}
	return register >> first & uint16(1<<min(last-first+1, 16)-1), err
}

// Text is count registers of two ASCII characters each, up to the first NUL and without white space around it. The first
// register comes first in any order; a byte that is not ASCII becomes U+FFFD.
func (r Registers) Text(place, count int) (string, error) {
	window, err := r.window(place, count)
	var text strings.Builder
	for _, register := range window {
		pair := r.bytes(register)
		for _, character := range []byte{byte(pair >> 8), byte(pair)} {
			switch {
			case character == 0:
				return strings.TrimSpace(text.String()), nil
			case character < 0x80:
				text.WriteByte(character)
			default:
				text.WriteRune('\uFFFD')
			}
		}
	}
	return strings.TrimSpace(text.String()), err
}

// bytes is a register whose first byte in the value is the more significant one.
func (r Registers) bytes(register uint16) uint16 {
	if r.order == BADC || r.order == DCBA {
		return register<<8 | register>>8
	}
	return register
}

// bits is the value of up to four registers.
func (r Registers) bits(place, count int) (bits uint64, err error) {
	window, err := r.window(place, count)
	for i := range window {
		if r.order == CDAB || r.order == DCBA {
			i = len(window) - 1 - i
		}
		bits = bits<<16 | uint64(r.bytes(window[i]))
	}
	return bits, err
}

func (r Registers) bcd(place, count int) (value uint64, err error) {
	bits, err := r.bits(place, count)
	if err != nil {
		return 0, err
	}
	octets := binary.BigEndian.AppendUint64(nil, bits)[8-2*count:]
	for nth := range count * 4 {
		digit := octets[nth/2] >> 4
		if nth%2 == 1 {
			digit = octets[nth/2] & 0xF
		}
		if digit > 9 {
			return 0, &DigitError{place, digit, nth}
		}
		value = value*10 + uint64(digit)
	}
	return value, nil
}

func (r Registers) window(place, count int) ([]uint16, error) {
	if place < 0 || count < 0 || count > len(r.registers) || place > len(r.registers)-count {
		return nil, &RangeError{place, count, len(r.registers)}
	}
	return r.registers[place : place+count], nil
}

// RangeError says that a value lies, in part or whole, beyond the registers that were read.
type RangeError struct {
	// Place is that of its first register.
	Place int
	// Count is how many registers it takes.
	Count int
	// Read is how many were read.
	Read int
}

func (e *RangeError) Error() string {
	return fmt.Sprintf("a value of %d registers at place %d does not fit into the %d that were read", e.Count, e.Place, e.Read)
}

// DigitError says that registers are not packed BCD. As a rule the order is another one, or the value is not in BCD.
type DigitError struct {
	// Place is that of the value's first register.
	Place int
	// Digit is the one that is none.
	Digit uint8
	// Nth is its place among the digits, from 0 for the most significant.
	Nth int
}

func (e *DigitError) Error() string {
	return fmt.Sprintf("the value at place %d is not BCD: its digit %d is %d", e.Place, e.Nth, e.Digit)
}

// Linear turns a number of the device into one with a unit: number × Scale + Offset.
type Linear struct {
	Scale  float64 `json:"scale"`
	Offset float64 `json:"offset"`
}

// Apply is number × Scale + Offset, in floating-point numbers of 64 bits.
func (l Linear) Apply(number float64) float64 {
	// The conversion keeps the product from being fused with the sum, which would round once instead of twice.
	return float64(number*l.Scale) + l.Offset
}

// half is the value of an IEEE 754 binary16, which every float32 can hold.
func half(bits uint16) float32 {
	sign, exponent, fraction := bits>>15, int(bits>>10&0x1F), float64(bits&0x3FF)
	var value float64
	switch {
	case exponent == 0x1F && fraction != 0:
		value = math.NaN()
	case exponent == 0x1F:
		value = math.Inf(1)
	case exponent == 0:
		value = math.Ldexp(fraction, -24)
	default:
		value = math.Ldexp(fraction+1024, exponent-25)
	}
	if sign == 1 {
		value = math.Copysign(value, -1)
	}
	return float32(value)
}
