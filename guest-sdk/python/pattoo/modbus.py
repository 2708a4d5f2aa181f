"""Reading of Modbus devices: functions 1 to 4 of the Modbus Application Protocol Specification V1.1b3. There is no function that
writes.

A collector knows the *names* under which its operator granted devices, never where they are. Addresses are those of the
wire, from 0: the register that a manual calls 40001 is address 0 of the holding registers, 30386 is address 385 of the input
registers. A read of at most 125 registers or 2 000 bits is one request, so that a value of 32 or 64 bits never tears; a
longer one is split there. `pattoo.decode` turns registers into such values.

    # One read. A device that is down raises, and ends the collection unless that is caught.
    registers = modbus.Device("plc1", unit=7).holding_registers(385, 2)

    # Many reads, all devices at the same time; what fails costs only itself.
    spans = [modbus.Span("plc1", "input-registers", 0, 4, unit=7), modbus.Span("plc2", "coils", 16, 8)]
    for span, words in zip(spans, modbus.read_many(spans)):
        if isinstance(words, modbus.ModbusError):
            log.warning("%s", words)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from . import _host
from .errors import Error

Table = Literal["coils", "discrete-inputs", "holding-registers", "input-registers"]
"""The four tables of a device, as the contract names them. The first two hold bits, the others registers of 16 bits."""

Words = list[bool] | list[int]
"""What was read: a `bool` for each bit, or a number of 16 bits, unsigned, for each register."""

EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledge",
    6: "server device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}
"""The names of a device's exceptions (section 7 of the specification)."""


@dataclass(frozen=True, slots=True)
class Span:
    """One stretch of one table. As text it reads `plc1, unit 7, 2 holding registers from address 385`."""

    device: str
    """The name of a device in the grant."""
    table: Table
    """The table."""
    address: int
    """The first address, from 0."""
    count: int
    """How many, 1 or more; `address + count` is at most 65 536."""
    unit: int | None = None
    """The unit (server address) behind it, 0 to 255; `None` is the default unit of the grant."""

    def __str__(self) -> str:
        unit = "" if self.unit is None else f", unit {self.unit}"
        return f"{self.device}{unit}, {self.count} {self.table.replace('-', ' ')} from address {self.address}"


@dataclass(frozen=True, slots=True)
class Granted:
    """A device that was granted."""

    name: str
    """Letters, digits, `.`, `-`, `_` and `:`. Many operators use the address itself."""
    units: list[int]
    """The units that may be read, the default one first."""


class ModbusError(Error):
    """Nothing was read. Each reason is a class of its own; this one stands for what a later version may have to say."""

    def __init__(self, span: Span, reason: str) -> None:
        super().__init__(f"{span}: {reason}")
        self.span, self.reason = span, reason


class DeniedError(ModbusError):
    """The grant does not allow this unit, table or address. The text says what would have to be granted."""


class UnknownDeviceError(ModbusError):
    """No device of that name is granted."""

    def __init__(self, span: Span, reason: str = "no device of that name is granted") -> None:
        super().__init__(span, reason)


class DeviceException(ModbusError):
    """The device itself said no. `code` is the number of its exception, `name` what the specification calls it."""

    def __init__(self, span: Span, code: int) -> None:
        self.code, self.name = code, EXCEPTIONS.get(code)
        name = "" if self.name is None else f" ({self.name})"
        self.exception = f"exception {code}{name}"
        super().__init__(span, f"the device answered {self.exception}")


class TimeoutError(ModbusError):
    """The device did not answer in time."""

    def __init__(self, span: Span, reason: str = "the device did not answer in time") -> None:
        super().__init__(span, reason)


class ConnectionError(ModbusError):
    """The device could not be reached, or broke the connection or the protocol."""


class InvalidError(ModbusError):
    """The request makes no sense: no registers, or beyond address 65 535."""


class QuotaError(ModbusError):
    """The collection has read all that its operator allows."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device to read from."""

    name: str
    """Its name in the grant."""
    unit: int | None = None
    """The unit (server address) behind it, 0 to 255; `None` is the default unit of the grant."""

    def coils(self, address: int, count: int) -> list[bool]:
        """Reads coils: function 1. Like the three others it raises a `ModbusError`."""
        return [bool(bit) for bit in self._read("coils", address, count)]

    def discrete_inputs(self, address: int, count: int) -> list[bool]:
        """Reads discrete inputs: function 2."""
        return [bool(bit) for bit in self._read("discrete-inputs", address, count)]

    def holding_registers(self, address: int, count: int) -> list[int]:
        """Reads holding registers: function 3."""
        return [int(register) for register in self._read("holding-registers", address, count)]

    def input_registers(self, address: int, count: int) -> list[int]:
        """Reads input registers: function 4."""
        return [int(register) for register in self._read("input-registers", address, count)]

    def _read(self, table: Table, address: int, count: int) -> Words:
        span = Span(self.name, table, address, count, self.unit)
        check(span)
        return _host.current().read(span)


def read_many(spans: Iterable[Span]) -> list[Words | ModbusError]:
    """Reads many spans at once: all devices in parallel, each device's spans in the fewest requests that its limits allow.

    There is one result for each span, in the same order: what was read, or the error, which is returned and not raised. A
    dead device, or a register that does not exist, costs its own spans only.
    """
    wanted = list(spans)
    results: list[Words | ModbusError | None] = []
    for span in wanted:
        try:
            check(span)
            results.append(None)
        except InvalidError as error:
            results.append(error)
    sound = [span for span, result in zip(wanted, results) if result is None]
    read = iter(_host.current().read_many(sound))
    return [next(read) if result is None else result for result in results]


def devices() -> list[Granted]:
    """The devices that were granted, in the order of the grant."""
    return _host.current().devices()


def check(span: Span) -> None:
    """Refuses what the contract's numbers cannot hold."""
    for name, number, most in (("address", span.address, 0xFFFF), ("count", span.count, 0xFFFF), ("unit", span.unit, 0xFF)):
        if number is not None and not 0 <= number <= most:
            raise InvalidError(span, f"the {name} is not between 0 and {most}")
