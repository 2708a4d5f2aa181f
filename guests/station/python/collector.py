"""A pumping station: two spans of registers from a Modbus device, and one JSON document from a web site.

`../README.md` says what it does, in any language.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pattoo
from pattoo import Counter32, Counter64, Datapoint, Scaled, Value, http, log, modbus, state
from pattoo.decode import Registers


@dataclass
class Place:
    """Where a span begins."""

    table: Literal["holding-registers", "input-registers"]
    address: int

    def __post_init__(self) -> None:
        if not 0 <= self.address <= 0xFFFF:
            raise ValueError(f"the address is {self.address}, and must be between 0 and 65535")


@dataclass
class Settings:
    device: str
    unit: int
    pump: Place
    meter: Place
    url: str
    site: str
    note: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.unit <= 0xFF:
            raise ValueError(f"the unit is {self.unit}, and must be between 0 and 255")


@dataclass
class Weather:
    """What the site says."""

    temperature: float
    humidity: int
    rain_total: int
    name: str


def collect() -> None:
    settings = pattoo.settings(Settings)
    parts = [("pump", settings.pump, 4, pump), ("meter", settings.meter, 10, meter)]
    spans = [
        modbus.Span(settings.device, place.table, place.address, count, settings.unit) for _, place, count, _ in parts
    ]
    read = modbus.read_many(spans)
    described = weather(settings)
    collections = count_collection()

    device = []
    for (name, _, _, decode), words in zip(parts, read):
        for key, value in values_of(name, words, decode).items():
            metadata, notes = {"unit": settings.unit, "span": name}, {"note": settings.note}
            device.append(Datapoint(key, value, metadata, notes, pattoo.collection_time()))
    taken = emit(settings.device, device)
    notes = {"note": settings.note}
    time = pattoo.collection_time()
    taken += emit(settings.site, [Datapoint(key, value, {}, notes, time) for key, value in described.items()])
    taken += emit("collector", [Datapoint("collections", collections, time=time)])
    log.info("%d datapoints", taken)


Values = dict[str, Value]


def values_of(name: str, words: modbus.Words | modbus.ModbusError, decode: Callable[[Registers], Values]) -> Values:
    """What a span says, or what its device said instead."""
    if isinstance(words, modbus.DeviceException):
        log.warning("%s: %s", name, words.exception)
        return {"exception": words.code}
    if isinstance(words, modbus.ModbusError):
        log.warning("%s: %s", name, words)
        return {}
    return decode(Registers(words))


def pump(registers: Registers) -> Values:
    return {
        "level": registers.u16(0),
        "temperature": Scaled(registers.i16(1) * 0.1),
        "revolutions": Counter32(registers.u32(2)),
    }


def meter(registers: Registers) -> Values:
    return {
        "power": registers.in_order("CDAB").f32(0),
        "energy": Counter64(registers.u64(2)),
        "serial": registers.text(6, 4),
    }


def weather(settings: Settings) -> Values:
    """What the site has to say, with a line for the operator if that is little."""
    try:
        response = http.get(settings.url, headers={"accept": "application/json"})
        if response.status != 200:
            log.warning("%s: status %d", settings.site, response.status)
            return {"status": response.status}
        document = response.json(Weather)
    except http.HttpError as error:
        log.warning("%s: %s", settings.site, error)
        return {}
    return {
        "outdoor_temperature": document.temperature,
        "humidity": document.humidity,
        "rain_total": Counter64(document.rain_total),
        "station_name": document.name,
    }


def count_collection() -> int:
    """The number of this collection."""
    collections = int(state.get("collections") or 0) + 1
    state.set("collections", str(collections))
    return collections


def emit(target: str, datapoints: list[Datapoint]) -> int:
    """Emits datapoints; returns how many were taken."""
    rejections = pattoo.emit_all(target, datapoints)
    for rejection in rejections:
        log.warning("%s: %s", target, rejection)
    return len(datapoints) - len(rejections)
