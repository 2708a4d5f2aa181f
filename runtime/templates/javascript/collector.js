// {{name}}: counts its collections, and reads the temperature of a Modbus device if one is set.

import { decode, emit, float, integer, is, log, modbus, settings, state } from "pattoo";

/** The settings of the operator. */
const SETTINGS = {
  // The name under which a device was granted.
  device: is.optional(is.text),
};

export function collect() {
  const { device } = settings(SETTINGS, { strict: true });

  // Variables start with their initial values each time; `state` is stored.
  const collections = Number(state.get("collections") ?? 0) + 1;
  state.set("collections", String(collections));
  emit("{{name}}", "collections", integer(collections));

  if (device === undefined) {
    log.info("no device is set, so none is read: see README.md");
    return;
  }
  // Registers 0 and 1 hold a float of 32 bits, as the manual of such a device says.
  const registers = modbus.device(device).holdingRegisters(0, 2);
  const celsius = decode.registers(registers).f32(0);
  emit(device, "temperature", float(celsius), { sensor: "indoor" }, { notes: { unit: "Cel" } });
}
