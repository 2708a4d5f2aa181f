import * as host from "#host";
import { PattooError } from "./errors.js";

const value = (type) => (number) => Object.freeze({ type, value: number });

export const integer = value("integer");
export const scaled = value("scaled");
export const float = value("float");
export const counter32 = value("counter32");
export const counter64 = value("counter64");
export const text = value("text");

export class EmitError extends PattooError {
  constructor(target, kind, reason, rejections = []) {
    super(`target ${JSON.stringify(target)}: ${reason}`);
    Object.assign(this, { target, kind, reason, rejections });
  }
}

class Rejection {
  constructor(index, key, kind, reason) {
    Object.assign(this, { index, key, kind, reason });
  }

  toString() {
    return `datapoint ${JSON.stringify(this.key)} was refused: ${this.reason}`;
  }
}

export function emit(target, key, value, metadata = {}, { notes = {}, time } = {}) {
  const rejections = emitAll(target, [{ key, value, metadata, notes, time }]);
  if (rejections.length > 0) throw new EmitError(target, "rejected", rejections.join("; "), rejections);
}

export function emitAll(target, datapoints) {
  const given = [...datapoints].map(lowered);
  // What cannot be handed over is refused here, so that it costs no other.
  const places = [];
  const rejections = [];
  given.forEach((point, index) => {
    const reason = unfit(point.value);
    if (reason === undefined) places.push(index);
    else {
      rejections.push(new Rejection(index, point.key, "value", reason));
      host.log("warn", `${target}: ${rejections.at(-1)}`);
    }
  });
  if (places.length > 0 || given.length === 0) {
    const outcome = host.emit(target, places.map((place) => given[place]));
    if (!Array.isArray(outcome)) throw new EmitError(target, outcome.kind, outcome.reason);
    for (const { index, kind, reason } of outcome) {
      rejections.push(new Rejection(places[index], given[places[index]].key, kind, reason));
    }
  }
  return rejections.sort((one, other) => one.index - other.index);
}

/** A datapoint with a typed value and its time in milliseconds. */
function lowered({ key, value, metadata = {}, notes = {}, time }) {
  if (typeof value === "number") {
    throw new TypeError(`the value ${value} of "${key}" is integer(${value}) or float(${value}): pattoo keeps them apart`);
  }
  const typed = typeof value === "string" ? text(value) : typeof value === "bigint" ? integer(value) : value;
  if (!TYPES.has(typed?.type)) throw new TypeError(`the value of "${key}" is none that pattoo has a type for`);
  const timestamp = time instanceof Date ? time.getTime() : time;
  if (timestamp !== undefined && !(Number.isSafeInteger(timestamp) && timestamp >= 0)) {
    throw new RangeError(`the time of "${key}" is a Date or whole milliseconds, not ${time}`);
  }
  const described = [
    ...Object.entries(metadata).map(([name, said]) => ({ key: name, value: String(said), identifying: true })),
    ...Object.entries(notes).map(([name, said]) => ({ key: name, value: String(said), identifying: false })),
  ];
  return { key: String(key), value: typed, timestamp, metadata: described };
}

const WHOLE = {
  integer: [-(2n ** 63n), 2n ** 63n - 1n],
  counter32: [0n, 2n ** 32n - 1n],
  counter64: [0n, 2n ** 64n - 1n],
};
const TYPES = new Set([...Object.keys(WHOLE), "scaled", "float", "text"]);
const SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/** Why a value cannot be handed over, if it cannot. */
function unfit({ type, value }) {
  if (type === "text") return typeof value === "string" ? undefined : `${typeof value} is no text`;
  if (type === "float" || type === "scaled") return typeof value === "number" ? undefined : `${typeof value} is no number`;
  if (typeof value === "number" && !Number.isSafeInteger(value)) {
    return Number.isInteger(value)
      ? `the value ${value} is beyond 2^53, where a Number may have lost digits: give a BigInt`
      : `the value ${value} is not a whole number`;
  }
  if (typeof value !== "number" && typeof value !== "bigint") return `${typeof value} is no whole number`;
  const [least, most] = WHOLE[type];
  const exact = BigInt(value);
  if (exact < least || exact > most) return `the value ${value} is not between ${least} and ${most}`;
  if (!host.wideIntegers() && (exact > SAFE || exact < -SAFE)) {
    return `the value ${value} is beyond 2^53, and this engine hands over no more: build for the other one, or scale it`;
  }
  return undefined;
}
