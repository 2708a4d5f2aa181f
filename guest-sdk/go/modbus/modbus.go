// Package modbus reads Modbus devices: functions 1 to 4 of the Modbus Application Protocol Specification V1.1b3. There is no
// function that writes.
//
// A collector knows the names under which its operator granted devices, never where they are.
//
// Addresses are those of the wire, from 0: the register that a manual calls 40001 is address 0 of the holding registers, 30386
// is address 385 of the input registers. A read of at most 125 registers or 2 000 bits is one request, so that a value of 32 or 64 bits
// never tears; a longer one is split there. The package [pattoo/decode] turns registers into such values.
package modbus

import (
	"fmt"

	"pattoo/internal/host"
)

// Table is one of the four tables of a device. In settings they are written coils, discrete-inputs, holding-registers and
// input-registers.
type Table uint8

// The four tables.
const (
	// Coils are bits that can be written: function 1.
	Coils Table = host.Coils
	// DiscreteInputs are bits that can only be read: function 2.
	DiscreteInputs Table = host.DiscreteInputs
	// HoldingRegisters are registers of 16 bits that can be written: function 3.
	HoldingRegisters Table = host.HoldingRegisters
	// InputRegisters are registers of 16 bits that can only be read: function 4.
	InputRegisters Table = host.InputRegisters
)

var tableNames = [...]string{"coils", "discrete-inputs", "holding-registers", "input-registers"}

func (t Table) String() string {
	return [...]string{"coils", "discrete inputs", "holding registers", "input registers"}[t]
}

// MarshalText writes the name that a table has in settings.
func (t Table) MarshalText() ([]byte, error) { return []byte(tableNames[t]), nil }

// UnmarshalText reads it.
func (t *Table) UnmarshalText(text []byte) error {
	for table, name := range tableNames {
		if name == string(text) {
			*t = Table(table)
			return nil
		}
	}
	return fmt.Errorf("there is no table %q; there are coils, discrete-inputs, holding-registers, input-registers", text)
}

// Granted is a device that was granted.
type Granted struct {
	// Name is letters, digits, '.', '-', '_' and ':'. Many operators use the address itself. Example: plc1.
	Name string
	// Units are those that may be read, the default one first.
	Units []uint8
}

// Devices are the devices that were granted, in the order of the grant.
func Devices() []Granted {
	devices := host.Devices()
	granted := make([]Granted, len(devices))
	for i, device := range devices {
		granted[i] = Granted(device)
	}
	return granted
}

// Device is a device to read from.
type Device struct {
	name string
	unit *uint8
}

// NewDevice is the device of that name in the grant, and the default unit of it.
func NewDevice(name string) Device { return Device{name: name} }

// Unit is another unit (server address) behind it, 0 to 255.
func (d Device) Unit(unit uint8) Device {
	d.unit = &unit
	return d
}

// Coils reads count coils from address on. Errors of this and the three others are an [*Error].
func (d Device) Coils(address, count uint16) ([]bool, error) {
	span := d.span(Coils, address, count)
	words := host.ReadCoils(span.lowered())
	return words.Bits, span.failed(words.Failure)
}

// DiscreteInputs reads count discrete inputs from address on.
func (d Device) DiscreteInputs(address, count uint16) ([]bool, error) {
	span := d.span(DiscreteInputs, address, count)
	words := host.ReadDiscreteInputs(span.lowered())
	return words.Bits, span.failed(words.Failure)
}

// Holding reads count holding registers from address on.
func (d Device) Holding(address, count uint16) ([]uint16, error) {
	span := d.span(HoldingRegisters, address, count)
	words := host.ReadHoldingRegisters(span.lowered())
	return words.Registers, span.failed(words.Failure)
}

// Input reads count input registers from address on.
func (d Device) Input(address, count uint16) ([]uint16, error) {
	span := d.span(InputRegisters, address, count)
	words := host.ReadInputRegisters(span.lowered())
	return words.Registers, span.failed(words.Failure)
}

// Span is a stretch of one table of this device, for [ReadMany].
func (d Device) Span(table Table, address, count uint16) Span { return d.span(table, address, count) }

func (d Device) span(table Table, address, count uint16) Span {
	return Span{Device: d.name, Unit: d.unit, Table: table, Address: address, Count: count}
}

// Span is one stretch of one table. It reads "plc1, unit 7, 2 holding registers from address 385".
type Span struct {
	// Device is the name of a device in the grant.
	Device string
	// Unit is the unit (server address) behind it; nil is the default unit of the grant.
	Unit *uint8
	// Table is the table.
	Table Table
	// Address is the first address, from 0.
	Address uint16
	// Count is how many, 1 or more; Address + Count is at most 65 536.
	Count uint16
}

func (s Span) String() string {
	unit := ""
	if s.Unit != nil {
		unit = fmt.Sprintf(", unit %d", *s.Unit)
	}
	return fmt.Sprintf("%s%s, %d %s from address %d", s.Device, unit, s.Count, s.Table, s.Address)
}

func (s Span) lowered() host.Span {
	lowered := host.Span{Device: s.Device, Table: uint8(s.Table), Address: s.Address, Count: s.Count}
	if s.Unit != nil {
		lowered.UnitGiven, lowered.Unit = true, *s.Unit
	}
	return lowered
}

// Reading is what was read of a span.
type Reading struct {
	// Span is the span.
	Span Span
	// Bits are those of coils and discrete inputs.
	Bits []bool
	// Registers are those of holding and input registers: 16 bits each, unsigned.
	Registers []uint16
	// Err is an [*Error], or nil.
	Err error
}

// ReadMany reads many spans at once: all devices in parallel, each device's spans in the fewest requests that its limits
// allow. There is one reading for each span, in the same order. A dead device, or a register that does not exist, costs its own
// spans only.
func ReadMany(spans ...Span) []Reading {
	lowered := make([]host.Span, len(spans))
	for i, span := range spans {
		lowered[i] = span.lowered()
	}
	readings := make([]Reading, len(spans))
	for i, words := range host.ReadMany(lowered) {
		readings[i] = Reading{spans[i], words.Bits, words.Registers, spans[i].failed(words.Failure)}
	}
	return readings
}
