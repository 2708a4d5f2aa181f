//go:build !wasip1

package pattootest

import (
	"errors"
	"fmt"

	"pattoo/internal/host"
	"pattoo/modbus"
)

// Device is a device that a test granted. What it says of registers and faults is about the unit that was named last; unit 1 if none
// was.
//
//	host.Device("plc1").
//		Unit(1).Holding(0, 1, 2, 3).Coils(16, true, false).
//		Unit(7).Holding(0, 9, 9).Exception(modbus.HoldingRegisters, 1, modbus.ServerDeviceFailure).
//		Unit(8).Fail(modbus.ErrTimeout)
//
// Beyond its registers a device answers exception 2, illegal data address.
type Device struct {
	name string
	// In the order in which they were named; the first is the default.
	units []*unit
	// The one that was named last.
	current *unit
}

type unit struct {
	number uint8
	// A bit is 0 or 1.
	words      map[place]uint16
	exceptions map[place]modbus.Exception
	failure    *host.Failure
}

type place struct {
	table   modbus.Table
	address uint16
}

// Unit grants a unit; what follows is about it. The first one is the default.
func (d *Device) Unit(number uint8) *Device {
	for _, unit := range d.units {
		if unit.number == number {
			d.current = unit
			return d
		}
	}
	d.current = &unit{number: number, words: map[place]uint16{}, exceptions: map[place]modbus.Exception{}}
	d.units = append(d.units, d.current)
	return d
}

// Coils sets coils from an address on.
func (d *Device) Coils(address uint16, bits ...bool) *Device {
	return d.bits(modbus.Coils, address, bits)
}

// DiscreteInputs sets discrete inputs from an address on.
func (d *Device) DiscreteInputs(address uint16, bits ...bool) *Device {
	return d.bits(modbus.DiscreteInputs, address, bits)
}

// Holding sets holding registers from an address on.
func (d *Device) Holding(address uint16, registers ...uint16) *Device {
	return d.registers(modbus.HoldingRegisters, address, registers)
}

// Input sets input registers from an address on.
func (d *Device) Input(address uint16, registers ...uint16) *Device {
	return d.registers(modbus.InputRegisters, address, registers)
}

// Exception answers every read that touches this address with an exception.
func (d *Device) Exception(table modbus.Table, address uint16, exception modbus.Exception) *Device {
	d.unit().exceptions[place{table, address}] = exception
	return d
}

// Fail lets every read of the unit fail, with one of the errors of the package modbus, such as [modbus.ErrTimeout].
func (d *Device) Fail(err error) *Device {
	for failure, sentinel := range failures {
		if errors.Is(err, sentinel) {
			d.unit().failure = &host.Failure{Case: failure, Text: "the test wants it so"}
			return d
		}
	}
	panic(fmt.Sprintf("%v is not an error of the package modbus", err))
}

var failures = map[uint8]error{
	host.ModbusDenied:     modbus.ErrDenied,
	host.ModbusTimeout:    modbus.ErrTimeout,
	host.ModbusConnection: modbus.ErrConnection,
	host.ModbusInvalid:    modbus.ErrInvalid,
	host.ModbusQuota:      modbus.ErrQuota,
}

func (d *Device) bits(table modbus.Table, address uint16, bits []bool) *Device {
	words := make([]uint16, len(bits))
	for i, bit := range bits {
		if bit {
			words[i] = 1
		}
	}
	return d.registers(table, address, words)
}

func (d *Device) registers(table modbus.Table, address uint16, words []uint16) *Device {
	for i, word := range words {
		d.unit().words[place{table, address + uint16(i)}] = word
	}
	return d
}

func (d *Device) unit() *unit {
	if d.current == nil {
		d.Unit(1)
	}
	return d.current
}

func (d *Device) granted() host.Device {
	granted := host.Device{Name: d.name}
	for _, unit := range d.units {
		granted.Units = append(granted.Units, unit.number)
	}
	if len(d.units) == 0 {
		granted.Units = []uint8{1}
	}
	return granted
}

// read is one read, as the runtime and the device would answer it.
func read(devices []*Device, span host.Span) host.Words {
	fail := func(failure host.Failure) host.Words { return host.Words{Failure: &failure} }
	except := func(exception modbus.Exception) host.Words {
		return fail(host.Failure{Case: host.ModbusException, Number: uint64(exception)})
	}
	var device *Device
	for _, candidate := range devices {
		if candidate.name == span.Device {
			device = candidate
		}
	}
	if device == nil {
		return fail(host.Failure{Case: host.ModbusUnknownDevice})
	}
	if span.Count == 0 || int(span.Address)+int(span.Count) > 0x10000 {
		return fail(host.Failure{Case: host.ModbusInvalid, Text: "a read is of 1 or more, and ends at address 65535"})
	}
	if len(device.units) == 0 {
		device.Unit(1)
	}
	unit := device.units[0]
	if span.UnitGiven {
		unit = nil
		for _, candidate := range device.units {
			if candidate.number == span.Unit {
				unit = candidate
			}
		}
	}
	switch {
	case unit == nil:
		text := fmt.Sprintf("unit %d of %s is not granted", span.Unit, span.Device)
		return fail(host.Failure{Case: host.ModbusDenied, Text: text})
	case unit.failure != nil:
		return fail(*unit.failure)
	}
	var words host.Words
	for i := range span.Count {
		place := place{modbus.Table(span.Table), span.Address + i}
		if exception, there := unit.exceptions[place]; there {
			return except(exception)
		}
		word, there := unit.words[place]
		if !there {
			return except(modbus.IllegalDataAddress)
		}
		if span.Table == host.Coils || span.Table == host.DiscreteInputs {
			words.Bits = append(words.Bits, word != 0)
		} else {
			words.Registers = append(words.Registers, word)
		}
	}
	return words
}
