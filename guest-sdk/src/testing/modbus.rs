//! Devices that answer what a test wants.

use std::collections::HashMap;

use crate::modbus::{ErrorKind, Exception, Granted, Span, Table, Words};

/// A device that a test granted. What it says of registers and faults is about the unit that was named last; unit 1 if none was.
///
/// ```
/// use pattoo_guest::{modbus::{Device, ErrorKind, Exception, Table}, testing::Host};
///
/// let mut host = Host::new().modbus("plc1", |plc| {
///     plc.unit(1).holding(0, &[1, 2, 3]).coils(16, &[true, false])
///        .unit(7).holding(0, &[9; 10]).exception(Table::Holding, 5, Exception::SERVER_DEVICE_FAILURE)
///        .unit(8).fail(ErrorKind::Timeout)
/// });
/// host.collect(|| {
///     let plc = Device::new("plc1");
///     assert_eq!(plc.holding(1, 2)?, [2, 3]);
///     // Beyond its registers a device answers exception 2.
///     assert_eq!(plc.holding(2, 2).unwrap_err().kind, ErrorKind::Exception(Exception::ILLEGAL_DATA_ADDRESS));
///     // An exception comes of every read that touches the address.
///     assert_eq!(plc.clone().unit(7).holding(0, 5)?, [9; 5]);
///     assert_eq!(plc.clone().unit(7).holding(0, 6).unwrap_err().kind, ErrorKind::Exception(Exception(4)));
///     assert_eq!(plc.unit(8).holding(0, 1).unwrap_err().kind, ErrorKind::Timeout);
///     Ok(())
/// });
/// ```
#[derive(Clone, Debug)]
pub struct FakeDevice {
    name: String,
    /// In the order in which they were named; the first is the default.
    units: Vec<Unit>,
    /// The one that was named last.
    current: u8,
}

#[derive(Clone, Debug)]
struct Unit {
    number: u8,
    /// A bit is 0 or 1.
    words: HashMap<(Table, u16), u16>,
    exceptions: HashMap<(Table, u16), Exception>,
    failure: Option<ErrorKind>,
}

impl FakeDevice {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), units: Vec::new(), current: 1 }
    }

    /// Grants a unit; what follows is about it. The first one is the default.
    #[must_use]
    pub fn unit(mut self, number: u8) -> Self {
        if self.units.iter().all(|unit| unit.number != number) {
            self.units.push(Unit { number, words: HashMap::new(), exceptions: HashMap::new(), failure: None });
        }
        self.current = number;
        self
    }

    /// Coils from an address on.
    #[must_use]
    pub fn coils(self, address: u16, bits: &[bool]) -> Self {
        self.words(Table::Coils, address, bits.iter().map(|bit| u16::from(*bit)))
    }

    /// Discrete inputs from an address on.
    #[must_use]
    pub fn discrete(self, address: u16, bits: &[bool]) -> Self {
        self.words(Table::Discrete, address, bits.iter().map(|bit| u16::from(*bit)))
    }

    /// Holding registers from an address on.
    #[must_use]
    pub fn holding(self, address: u16, registers: &[u16]) -> Self {
        self.words(Table::Holding, address, registers.iter().copied())
    }

    /// Input registers from an address on.
    #[must_use]
    pub fn input(self, address: u16, registers: &[u16]) -> Self {
        self.words(Table::Input, address, registers.iter().copied())
    }

    /// Answers every read that touches this address with an exception.
    #[must_use]
    pub fn exception(self, table: Table, address: u16, exception: Exception) -> Self {
        self.change(|unit| {
            unit.exceptions.insert((table, address), exception);
        })
    }

    /// Lets every read of the unit fail, as with [`ErrorKind::Timeout`].
    #[must_use]
    pub fn fail(self, failure: ErrorKind) -> Self {
        self.change(|unit| unit.failure = Some(failure))
    }

    pub(super) fn granted(&self) -> Granted {
        let units = self.units.iter().map(|unit| unit.number).collect::<Vec<_>>();
        Granted { name: self.name.clone(), units: if units.is_empty() { vec![1] } else { units } }
    }

    fn words(self, table: Table, address: u16, words: impl Iterator<Item = u16>) -> Self {
        self.change(|unit| {
            unit.words.extend((address..=u16::MAX).map(|address| (table, address)).zip(words));
        })
    }

    fn change(self, change: impl FnOnce(&mut Unit)) -> Self {
        let current = self.current;
        let mut device = self.unit(current);
        if let Some(unit) = device.units.iter_mut().find(|unit| unit.number == current) {
            change(unit);
        }
        device
    }
}

/// One read, as the runtime and the device would answer it.
pub(super) fn read(devices: &[FakeDevice], span: &Span) -> Result<Words, ErrorKind> {
    let device = devices.iter().find(|device| device.name == span.device).ok_or(ErrorKind::UnknownDevice)?;
    let end = u32::from(span.address).saturating_add(span.count.into());
    if span.count == 0 || end > 0x1_0000 {
        return Err(ErrorKind::Invalid("a read is of 1 or more, and ends at address 65535".to_owned()));
    }
    let granted = device.granted();
    let number = span.unit.or_else(|| granted.units.first().copied()).unwrap_or_default();
    if !granted.units.contains(&number) {
        return Err(ErrorKind::Denied(format!("unit {number} of {} is not granted", device.name)));
    }
    let illegal_address = ErrorKind::Exception(Exception::ILLEGAL_DATA_ADDRESS);
    let Some(unit) = device.units.iter().find(|unit| unit.number == number) else {
        return Err(illegal_address);
    };
    if let Some(failure) = &unit.failure {
        return Err(failure.clone());
    }
    let mut words = Vec::new();
    for address in (span.address..=u16::MAX).take(span.count.into()) {
        let place = (span.table, address);
        if let Some(exception) = unit.exceptions.get(&place) {
            return Err(ErrorKind::Exception(*exception));
        }
        words.push(*unit.words.get(&place).ok_or_else(|| illegal_address.clone())?);
    }
    Ok(match span.table {
        Table::Coils | Table::Discrete => Words::Bits(words.into_iter().map(|word| word != 0).collect()),
        Table::Holding | Table::Input => Words::Registers(words),
    })
}
