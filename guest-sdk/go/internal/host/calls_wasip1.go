package host

import (
	"math"
	"unsafe"
)

//go:wasmimport pattoo:agent/agent@0.1.0 program
func program(result unsafe.Pointer)

//go:wasmimport pattoo:agent/agent@0.1.0 polling-interval
func PollingInterval() uint32

//go:wasmimport pattoo:agent/agent@0.1.0 collection-time
func CollectionTime() uint64

//go:wasmimport pattoo:agent/agent@0.1.0 settings
func settings(result unsafe.Pointer)

//go:wasmimport pattoo:agent/clock@0.1.0 now
func Now() uint64

//go:wasmimport pattoo:agent/clock@0.1.0 monotonic
func Monotonic() uint64

//go:wasmimport pattoo:agent/log@0.1.0 log
func log(level uint32, message string)

//go:wasmimport pattoo:agent/datapoints@0.1.0 emit
func emit(target string, points unsafe.Pointer, count uint32, result unsafe.Pointer)

//go:wasmimport pattoo:agent/modbus@0.1.0 devices
func devices(result unsafe.Pointer)

//go:wasmimport pattoo:agent/modbus@0.1.0 read-coils
func readCoils(device string, unitGiven bool, unit, address, count uint32, result unsafe.Pointer)

//go:wasmimport pattoo:agent/modbus@0.1.0 read-discrete-inputs
func readDiscreteInputs(device string, unitGiven bool, unit, address, count uint32, result unsafe.Pointer)

//go:wasmimport pattoo:agent/modbus@0.1.0 read-holding-registers
func readHoldingRegisters(device string, unitGiven bool, unit, address, count uint32, result unsafe.Pointer)

//go:wasmimport pattoo:agent/modbus@0.1.0 read-input-registers
func readInputRegisters(device string, unitGiven bool, unit, address, count uint32, result unsafe.Pointer)

//go:wasmimport pattoo:agent/modbus@0.1.0 read-many
func readMany(spans unsafe.Pointer, count uint32, result unsafe.Pointer)

//go:wasmimport pattoo:agent/http@0.1.0 fetch
func fetch(method, url string, headers unsafe.Pointer, count uint32, hasBody bool, body unsafe.Pointer, length uint32,
	hasTimeout bool, timeout uint32, result unsafe.Pointer)

//go:wasmimport pattoo:agent/http@0.1.0 fetch-all
func fetchAll(requests unsafe.Pointer, count uint32, result unsafe.Pointer)

//go:wasmimport pattoo:agent/state@0.1.0 get
func stateGet(key string, result unsafe.Pointer)

//go:wasmimport pattoo:agent/state@0.1.0 set
func stateSet(key string, value unsafe.Pointer, length uint32, result unsafe.Pointer)

//go:wasmimport pattoo:agent/state@0.1.0 remove
func StateRemove(key string)

//go:wasmimport pattoo:agent/state@0.1.0 keys
func stateKeys(result unsafe.Pointer)

// returned makes a call whose result is written into an area, and reads it.
func returned[T any](call func(result unsafe.Pointer), read func(view) T) (value T) {
	guarded(func() {
		result := newArea()
		call(result.at())
		value = read(result.view())
	})
	return value
}

func Program() string {
	return returned(program, func(v view) string { return v.text(0) })
}

func Settings() string {
	return returned(settings, func(v view) string { return v.text(0) })
}

func Log(level uint8, message string) { log(uint32(level), message) }

func Emit(target string, points []Datapoint) (rejections []Rejection, failure *Failure) {
	var l layout
	start := l.room(len(points) * 48)
	for i, point := range points {
		l.datapoint(start+i*48, point)
	}
	at := l.finish()
	failure = returned(func(result unsafe.Pointer) { emit(target, at, uint32(len(points)), result) },
		func(v view) *Failure {
			if v.u8(0) != 0 {
				return v.failure(4, 8, true)
			}
			rejections = list(v, 4, 16, func(item view) Rejection {
				return Rejection{Index: item.u32(0), Reason: *item.failure(4, 8, item.u8(4) != ReasonDuplicate)}
			})
			return nil
		})
	keep(&l)
	return rejections, failure
}

func (l *layout) datapoint(at int, point Datapoint) {
	l.text(at, point.Key)
	value := point.Value
	l.u8(at+8, value.Case)
	switch value.Case {
	case Integer:
		l.u64(at+16, uint64(value.Integer))
	case Scaled, Float:
		l.u64(at+16, math.Float64bits(value.Number))
	case Counter32:
		l.u32(at+16, uint32(value.Counter))
	case Counter64:
		l.u64(at+16, value.Counter)
	case Text:
		l.text(at+16, value.Text)
	}
	l.flag(at+24, point.Timed)
	l.u64(at+32, point.Timestamp)
	items := l.room(len(point.Metadata) * 20)
	l.refer(at+40, items, len(point.Metadata))
	for i, metadatum := range point.Metadata {
		l.text(items+i*20, metadatum.Key)
		l.text(items+i*20+8, metadatum.Value)
		l.flag(items+i*20+16, metadatum.Identifying)
	}
}

func Devices() []Device {
	return returned(devices, func(v view) []Device {
		return list(v, 0, 16, func(item view) Device { return Device{Name: item.text(0), Units: item.octets(8)} })
	})
}

type reader = func(device string, unitGiven bool, unit, address, count uint32, result unsafe.Pointer)

func read(call reader, span Span, words func(view) Words) Words {
	return returned(func(result unsafe.Pointer) {
		call(span.Device, span.UnitGiven, uint32(span.Unit), uint32(span.Address), uint32(span.Count), result)
	}, func(v view) Words {
		if v.u8(0) != 0 {
			return Words{Failure: v.modbusFailure()}
		}
		return words(v)
	})
}

func bits(v view) Words      { return Words{Bits: v.bits(4)} }
func registers(v view) Words { return Words{Registers: v.registers(4)} }

func ReadCoils(span Span) Words            { return read(readCoils, span, bits) }
func ReadDiscreteInputs(span Span) Words   { return read(readDiscreteInputs, span, bits) }
func ReadHoldingRegisters(span Span) Words { return read(readHoldingRegisters, span, registers) }
func ReadInputRegisters(span Span) Words   { return read(readInputRegisters, span, registers) }

// modbusFailure is the error of a result that lies at the beginning.
func (v view) modbusFailure() *Failure {
	switch v.u8(4) {
	case ModbusUnknownDevice, ModbusTimeout:
		return v.failure(4, 8, false)
	case ModbusException:
		return &Failure{Case: ModbusException, Number: uint64(v.u8(8))}
	default:
		return v.failure(4, 8, true)
	}
}

func ReadMany(spans []Span) []Words {
	var l layout
	start := l.room(len(spans) * 16)
	for i, span := range spans {
		at := start + i*16
		l.text(at, span.Device)
		l.flag(at+8, span.UnitGiven)
		l.u8(at+9, span.Unit)
		l.u8(at+10, span.Table)
		l.u16(at+12, span.Address)
		l.u16(at+14, span.Count)
	}
	at := l.finish()
	words := returned(func(result unsafe.Pointer) { readMany(at, uint32(len(spans)), result) }, func(v view) []Words {
		return list(v, 0, 16, func(item view) Words {
			switch {
			case item.u8(0) != 0:
				return Words{Failure: item.modbusFailure()}
			case item.u8(4) == 0:
				return Words{Bits: item.bits(8)}
			default:
				return Words{Registers: item.registers(8)}
			}
		})
	})
	keep(&l)
	return words
}

func response(v view) Response {
	if v.u8(0) == 0 {
		headers := list(v, 12, 16, func(item view) Header { return Header{Name: item.text(0), Value: item.text(8)} })
		return Response{Status: v.u16(8), Headers: headers, Body: v.octets(20)}
	}
	switch v.u8(8) {
	case HTTPTimeout:
		return Response{Failure: v.failure(8, 16, false)}
	case HTTPTooLarge:
		return Response{Failure: &Failure{Case: HTTPTooLarge, Number: v.u64(16)}}
	case HTTPRedirects:
		return Response{Failure: &Failure{Case: HTTPRedirects, Number: uint64(v.u32(16))}}
	default:
		return Response{Failure: v.failure(8, 16, true)}
	}
}

func (l *layout) headers(headers []Header) int {
	start := l.room(len(headers) * 16)
	for i, header := range headers {
		l.text(start+i*16, header.Name)
		l.text(start+i*16+8, header.Value)
	}
	return start
}

func Fetch(request Request) Response {
	var l layout
	l.headers(request.Headers)
	headers := l.finish()
	body := unsafe.Pointer(unsafe.SliceData(request.Body))
	fetched := returned(func(result unsafe.Pointer) {
		fetch(request.Method, request.URL, headers, uint32(len(request.Headers)), request.HasBody, body,
			uint32(len(request.Body)), request.Timeout != 0, request.Timeout, result)
	}, response)
	keep(&l)
	return fetched
}

func FetchAll(requests []Request) []Response {
	var l layout
	start := l.room(len(requests) * 44)
	for i, request := range requests {
		at := start + i*44
		l.text(at, request.Method)
		l.text(at+8, request.URL)
		l.refer(at+16, l.headers(request.Headers), len(request.Headers))
		l.flag(at+24, request.HasBody)
		l.octets(at+28, request.Body)
		l.flag(at+36, request.Timeout != 0)
		l.u32(at+40, request.Timeout)
	}
	at := l.finish()
	responses := returned(func(result unsafe.Pointer) { fetchAll(at, uint32(len(requests)), result) },
		func(v view) []Response { return list(v, 0, 32, response) })
	keep(&l)
	return responses
}

func StateGet(key string) (value []byte, found bool) {
	value = returned(func(result unsafe.Pointer) { stateGet(key, result) }, func(v view) []byte {
		if found = v.u8(0) != 0; !found {
			return nil
		}
		return v.octets(4)
	})
	return value, found
}

func StateSet(key string, value []byte) *Failure {
	at := unsafe.Pointer(unsafe.SliceData(value))
	return returned(func(result unsafe.Pointer) { stateSet(key, at, uint32(len(value)), result) }, func(v view) *Failure {
		if v.u8(0) == 0 {
			return nil
		}
		return v.failure(4, 8, true)
	})
}

func StateKeys() []string {
	return returned(stateKeys, func(v view) []string {
		return list(v, 0, 8, func(item view) string { return item.text(0) })
	})
}
