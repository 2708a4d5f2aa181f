"""{{name}}: counts its collections, and reads the temperature of a Modbus device if one is set."""

from dataclasses import dataclass

import pattoo
from pattoo import log, modbus, state
from pattoo.decode import Registers


@dataclass
class Settings:
    """The settings of the operator."""

    # The name under which a device was granted.
    device: str | None = None


def collect() -> None:
    settings = pattoo.settings(Settings, strict=True)

    # Variables start with their initial values each time; `state` is stored.
    collections = int(state.get("collections") or 0) + 1
    state.set("collections", str(collections))
    pattoo.emit("{{name}}", "collections", collections)

    if settings.device is None:
        log.info("no device is set, so none is read: see README.md")
        return
    # Registers 0 and 1 hold a float of 32 bits, as the manual of such a device says.
    registers = modbus.Device(settings.device).holding_registers(0, 2)
    celsius = Registers(registers).f32(0)
    pattoo.emit(settings.device, "temperature", celsius, {"sensor": "indoor"}, notes={"unit": "Cel"})
