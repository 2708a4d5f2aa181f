//! The data model of a Modbus device (V1.1b3, section 4.3): units, tables, addresses, and the
//! values that a read returns.

mod manual;
mod ranges;
mod span;
mod table;
mod unit;

pub use self::{
    manual::{ManualError, manual_address},
    ranges::{Ranges, RangesError, Readable},
    span::{Span, SpanError, Words},
    table::{ExceptionCode, MAX_BITS, MAX_REGISTERS, Table},
    unit::{Unit, UnitError},
};
