// Package host is what the other packages call: the runtime under WebAssembly, a test's stand-in everywhere else.
//
// Its types are those of the contract (the folder wit), without any comfort.
package host

// The cases of a value, in the order of the contract.
const (
	Integer = iota
	Scaled
	Float
	Counter32
	Counter64
	Text
)

// Value is a measured value: a case, and the field that belongs to it.
type Value struct {
	Case    uint8
	Integer int64
	Number  float64
	Counter uint64
	Text    string
}

// Metadatum is a name and a value that describe a datapoint.
type Metadatum struct {
	Key, Value  string
	Identifying bool
}

// Datapoint is one measurement.
type Datapoint struct {
	Key   string
	Value Value
	// Timed says whether there is a timestamp.
	Timed     bool
	Timestamp uint64
	Metadata  []Metadatum
}

// Failure is a case of one of the contract's error variants, by its place, with its text or number.
type Failure struct {
	Case   uint8
	Text   string
	Number uint64
}

// The cases of a rejection's reason.
const (
	ReasonKey = iota
	ReasonValue
	ReasonMetadata
	ReasonTimestamp
	ReasonDuplicate
	ReasonOther
)

// Rejection is a datapoint that was not taken.
type Rejection struct {
	Index  uint32
	Reason Failure
}

// The cases of an error of emit.
const (
	EmitTarget = iota
	EmitQuota
	EmitOther
)

// The tables of a device.
const (
	Coils = iota
	DiscreteInputs
	HoldingRegisters
	InputRegisters
)

// Span is one stretch of one table.
type Span struct {
	Device string
	// UnitGiven says whether Unit counts.
	UnitGiven bool
	Unit      uint8
	Table     uint8
	Address   uint16
	Count     uint16
}

// The cases of an error of modbus.
const (
	ModbusDenied = iota
	ModbusUnknownDevice
	ModbusException
	ModbusTimeout
	ModbusConnection
	ModbusInvalid
	ModbusQuota
	ModbusOther
)

// Words is what was read of a span, or why nothing was.
type Words struct {
	Bits      []bool
	Registers []uint16
	Failure   *Failure
}

// Device is a device that was granted.
type Device struct {
	Name  string
	Units []uint8
}

// Header is one field of a header section.
type Header struct {
	Name, Value string
}

// Request is what to fetch.
type Request struct {
	Method, URL string
	Headers     []Header
	HasBody     bool
	Body        []byte
	// Timeout is in milliseconds, 0 for none.
	Timeout uint32
}

// Response is what came back, or why nothing did.
type Response struct {
	Status  uint16
	Headers []Header
	Body    []byte
	Failure *Failure
}

// The cases of an error of http.
const (
	HTTPDenied = iota
	HTTPInvalid
	HTTPTimeout
	HTTPConnection
	HTTPTLS
	HTTPTooLarge
	HTTPRedirects
	HTTPQuota
	HTTPOther
)

// The cases of an error of state.
const (
	StateQuota = iota
	StateInvalid
	StateOther
)
