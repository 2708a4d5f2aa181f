package modbus

import (
	"errors"
	"fmt"

	"pattoo/internal/host"
)

// Why nothing was read, for errors.Is. A device's own refusal is an [Exception], for errors.Is and errors.As.
var (
	// ErrDenied: the grant does not allow this unit, table or address.
	ErrDenied = errors.New("denied")
	// ErrUnknownDevice: no device of that name is granted.
	ErrUnknownDevice = errors.New("no device of that name is granted")
	// ErrTimeout: the device did not answer in time.
	ErrTimeout = errors.New("the device did not answer in time")
	// ErrConnection: the device could not be reached, or broke the connection or the protocol.
	ErrConnection = errors.New("connection")
	// ErrInvalid: the request makes no sense: no registers, or beyond address 65 535.
	ErrInvalid = errors.New("invalid")
	// ErrQuota: the collection has read all that its operator allows.
	ErrQuota = errors.New("quota")
)

// Error says what was asked for and why nothing was read.
type Error struct {
	// Span is what was asked for.
	Span Span
	kind error
	text string
}

func (e *Error) Error() string { return e.Span.String() + ": " + e.text }

// Unwrap is what errors.Is and errors.As look at: one of the errors of this package, an [Exception], or nil for what a later version
// of the contract has to say.
func (e *Error) Unwrap() error { return e.kind }

// Exception is the exception code of a device's answer (section 7 of the specification). It is an error:
//
//	var exception modbus.Exception
//	if errors.As(err, &exception) {
//		return pattoo.Target("plc1").Emit("exception", pattoo.Integer(exception))
//	}
type Exception uint8

// The exceptions of the specification.
const (
	// IllegalFunction: the device does not know the function.
	IllegalFunction Exception = 1
	// IllegalDataAddress: some of the addresses do not exist.
	IllegalDataAddress Exception = 2
	// IllegalDataValue: mostly, more registers at once than the device can give.
	IllegalDataValue Exception = 3
	// ServerDeviceFailure: the device failed in the attempt.
	ServerDeviceFailure Exception = 4
	// Acknowledge: the device needs longer for this than an answer may take.
	Acknowledge Exception = 5
	// ServerDeviceBusy: the device does something else now; ask again.
	ServerDeviceBusy Exception = 6
	// MemoryParityError: the device's memory is damaged.
	MemoryParityError Exception = 8
	// GatewayPathUnavailable: the gateway is overloaded or wrongly configured.
	GatewayPathUnavailable Exception = 10
	// GatewayTargetFailedToRespond: the gateway got no answer from the unit.
	GatewayTargetFailedToRespond Exception = 11
)

var exceptionNames = map[Exception]string{
	IllegalFunction:              "illegal function",
	IllegalDataAddress:           "illegal data address",
	IllegalDataValue:             "illegal data value",
	ServerDeviceFailure:          "server device failure",
	Acknowledge:                  "acknowledge",
	ServerDeviceBusy:             "server device busy",
	MemoryParityError:            "memory parity error",
	GatewayPathUnavailable:       "gateway path unavailable",
	GatewayTargetFailedToRespond: "gateway target device failed to respond",
}

// Error is the code with its name: exception 2 (illegal data address).
func (e Exception) Error() string {
	if name, known := exceptionNames[e]; known {
		return fmt.Sprintf("exception %d (%s)", uint8(e), name)
	}
	return fmt.Sprintf("exception %d", uint8(e))
}

// failed is the error of a read of this span, or nil.
func (s Span) failed(failure *host.Failure) error {
	if failure == nil {
		return nil
	}
	switch failure.Case {
	case host.ModbusDenied:
		return &Error{s, ErrDenied, "denied: " + failure.Text}
	case host.ModbusUnknownDevice:
		return &Error{s, ErrUnknownDevice, ErrUnknownDevice.Error()}
	case host.ModbusException:
		exception := Exception(failure.Number)
		return &Error{s, exception, "the device answered " + exception.Error()}
	case host.ModbusTimeout:
		return &Error{s, ErrTimeout, ErrTimeout.Error()}
	case host.ModbusConnection:
		return &Error{s, ErrConnection, failure.Text}
	case host.ModbusInvalid:
		return &Error{s, ErrInvalid, failure.Text}
	case host.ModbusQuota:
		return &Error{s, ErrQuota, failure.Text}
	default:
		return &Error{s, nil, failure.Text}
	}
}
