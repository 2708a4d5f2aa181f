"""Devices that answer what a test wants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .. import modbus


@dataclass
class _Unit:
    words: dict[tuple[str, int], int] = field(default_factory=dict)
    exceptions: dict[tuple[str, int], int] = field(default_factory=dict)
    failure: Callable[[modbus.Span], modbus.ModbusError] | None = None


class FakeDevice:
    """A device that a test granted. What is said of registers and faults is about the unit that was named last; unit 1 if none was.

    plc = host.modbus("plc1")
    plc.unit(1).holding_registers(0, [1, 2, 3]).coils(16, [True, False])
    plc.unit(7).holding_registers(0, [9] * 10).exception("holding-registers", 5, 4)
    plc.unit(8).fail(modbus.TimeoutError)
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._units: dict[int, _Unit] = {}
        self._current = 1

    def unit(self, number: int) -> FakeDevice:
        """Grants a unit; what follows is about it. The first one is the default."""
        self._units.setdefault(number, _Unit())
        self._current = number
        return self

    def coils(self, address: int, bits: Sequence[bool]) -> FakeDevice:
        """Coils from an address on."""
        return self._words("coils", address, bits)

    def discrete_inputs(self, address: int, bits: Sequence[bool]) -> FakeDevice:
        """Discrete inputs from an address on."""
        return self._words("discrete-inputs", address, bits)

    def holding_registers(self, address: int, registers: Sequence[int]) -> FakeDevice:
        """Holding registers from an address on."""
        return self._words("holding-registers", address, registers)

    def input_registers(self, address: int, registers: Sequence[int]) -> FakeDevice:
        """Input registers from an address on."""
        return self._words("input-registers", address, registers)

    def exception(self, table: modbus.Table, address: int, code: int) -> FakeDevice:
        """Answers every read that touches this address with an exception."""
        self._unit().exceptions[table, address] = code
        return self

    def fail(self, failure: Callable[[modbus.Span], modbus.ModbusError]) -> FakeDevice:
        """Lets every read of the unit fail: with `modbus.TimeoutError`, or anything that makes an error of a span."""
        self._unit().failure = failure
        return self

    def granted(self) -> modbus.Granted:
        return modbus.Granted(self.name, list(self._units) or [1])

    def read(self, span: modbus.Span) -> modbus.Words:
        """One read, as the runtime and the device would answer it."""
        if span.count == 0 or span.address + span.count > 0x10000:
            raise modbus.InvalidError(span, "a read is of 1 or more, and ends at address 65535")
        granted = self.granted().units
        number = granted[0] if span.unit is None else span.unit
        if number not in granted:
            raise modbus.DeniedError(span, f"denied: unit {number} of {self.name} is not granted")
        unit = self._units.get(number, _Unit())
        if unit.failure is not None:
            raise unit.failure(span)
        words = []
        for address in range(span.address, span.address + span.count):
            place = (span.table, address)
            # Beyond its registers a device answers exception 2.
            if place in unit.exceptions or place not in unit.words:
                raise modbus.DeviceException(span, unit.exceptions.get(place, 2))
            words.append(unit.words[place])
        return [bool(word) for word in words] if span.table in ("coils", "discrete-inputs") else words

    def _words(self, table: modbus.Table, address: int, words: Sequence[int]) -> FakeDevice:
        for place, word in enumerate(words, address):
            if not 0 <= word <= 0xFFFF or not 0 <= place <= 0xFFFF:
                raise ValueError(f"no device has {word} at address {place}")
            self._unit().words[table, place] = word
        return self

    def _unit(self) -> _Unit:
        return self._units.setdefault(self._current, _Unit())
