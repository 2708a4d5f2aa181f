"""Write a collector for pattoo-wasm: a function that reads Modbus devices and web sites, and emits what it found.

    import pattoo
    from pattoo import http, modbus

    def collect() -> None:
        level, temperature = modbus.Device("plc1", unit=7).holding_registers(0, 2)
        pattoo.emit("plc1", "level", level, {"unit": "007"})
        pattoo.emit("plc1", "temperature", pattoo.Scaled(temperature * 0.1), {"unit": "007"})

        price = http.get("http://site-a.example/abc.json").raise_for_status().json()
        pattoo.emit("SITE_A", "ABC", float(price))

An exception that leaves `collect` ends the collection, and its text is what the operator reads. What was emitted before it is kept.

    what                                     where
    hand over measurements                   `emit`, `emit_all`, `Datapoint`, `Scaled`, `Counter32`, `Counter64`
    read devices                             `pattoo.modbus`, and `pattoo.decode` for what lies across several registers
    fetch from the web                       `pattoo.http`
    what the operator set                    `settings`, `program`, `polling_interval`, `collection_time`
    tell the operator something              `pattoo.log`, the standard `logging`, or `print`
    measure time                             `pattoo.clock`
    remember something until the next time   `pattoo.state`
    test all of that                         `pattoo.testing`
"""

from . import clock, decode, http, log, modbus, state
from .agent import SettingsError, collection_time, polling_interval, program, settings
from .datapoints import (
    Counter32,
    Counter64,
    Datapoint,
    EmitError,
    Rejection,
    RejectedError,
    Scaled,
    Value,
    emit,
    emit_all,
)
from .errors import Error

__all__ = [
    "Counter32",
    "Counter64",
    "Datapoint",
    "EmitError",
    "Error",
    "RejectedError",
    "Rejection",
    "Scaled",
    "SettingsError",
    "Value",
    "clock",
    "collection_time",
    "decode",
    "emit",
    "emit_all",
    "http",
    "log",
    "modbus",
    "polling_interval",
    "program",
    "settings",
    "state",
]
