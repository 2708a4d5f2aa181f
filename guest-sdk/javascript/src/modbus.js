import * as host from "#host";
import { PattooError } from "./errors.js";

export { devices } from "#host";

export const EXCEPTIONS = Object.freeze({
  1: "illegal function",
  2: "illegal data address",
  3: "illegal data value",
  4: "server device failure",
  5: "acknowledge",
  6: "server device busy",
  8: "memory parity error",
  10: "gateway path unavailable",
  11: "gateway target device failed to respond",
});

export class ModbusError extends PattooError {
  constructor(span, { kind, reason = WORDS[kind], code }) {
    const exception = code === undefined ? undefined : `exception ${code}${code in EXCEPTIONS ? ` (${EXCEPTIONS[code]})` : ""}`;
    super(`${described(span)}: ${exception === undefined ? reason : `the device answered ${exception}`}`);
    Object.assign(this, { span, kind, code, exception });
  }
}

const WORDS = {
  "unknown-device": "no device of that name is granted",
  timeout: "the device did not answer in time",
};

function described({ device, unit, table, address, count }) {
  const ofUnit = unit === undefined || unit === null ? "" : `, unit ${unit}`;
  return `${device}${ofUnit}, ${count} ${table.replace("-", " ")} from address ${address}`;
}

export function device(name, unit) {
  const read = (table) => (address, count) => {
    const [result] = readMany([{ device: name, unit, table, address, count }]);
    if (result.status === "rejected") throw result.reason;
    return result.value;
  };
  return Object.freeze({
    name,
    unit,
    coils: read("coils"),
    discreteInputs: read("discrete-inputs"),
    holdingRegisters: read("holding-registers"),
    inputRegisters: read("input-registers"),
  });
}

export function readMany(spans) {
  const wanted = [...spans].map((span) => ({ span, failed: unsound(span) }));
  const sound = wanted.filter(({ failed }) => failed === undefined).map(({ span }) => span);
  const read = host.readMany(sound).values();
  return wanted.map(({ span, failed }) => {
    const result = failed ?? read.next().value;
    return Array.isArray(result)
      ? { status: "fulfilled", value: result }
      : { status: "rejected", reason: new ModbusError(span, result) };
  });
}

const TABLES = ["coils", "discrete-inputs", "holding-registers", "input-registers"];

/** What the contract's numbers cannot hold. */
function unsound({ device: name, unit, table, address, count }) {
  if (typeof name !== "string" || !TABLES.includes(table)) {
    throw new TypeError(`a span has a device and one of the tables ${TABLES.join(", ")}, not ${name} and ${table}`);
  }
  for (const [what, number, most] of [["address", address, 0xffff], ["count", count, 0xffff], ["unit", unit ?? 0, 0xff]]) {
    if (!Number.isInteger(number) || number < 0 || number > most) {
      return { kind: "invalid", reason: `the ${what} is ${number}, and must be between 0 and ${most}` };
    }
  }
  return undefined;
}
