// The runtime, as seen from inside the sandbox: each function calls the one of the same name in the contract. Nothing is decided
// here. The two engines differ: QuickJS has a Number for what has 64 bits, StarlingMonkey a BigInt.

import * as agent from "pattoo:agent/agent@0.1.0";
import * as clock from "pattoo:agent/clock@0.1.0";
import * as datapoints from "pattoo:agent/datapoints@0.1.0";
import * as web from "pattoo:agent/http@0.1.0";
import * as journal from "pattoo:agent/log@0.1.0";
import * as modbus from "pattoo:agent/modbus@0.1.0";
import * as kept from "pattoo:agent/state@0.1.0";

export const program = () => agent.program();
export const pollingInterval = () => agent.pollingInterval();
export const collectionTime = () => Number(agent.collectionTime());
export const settings = () => agent.settings();
export const now = () => Number(clock.now());
export const monotonic = () => Number(clock.monotonic());
export const log = (level, message) => journal.log(level, message.toWellFormed?.() ?? message);
export const stateGet = (key) => {
  const value = kept.get(key);
  return value === null || value === undefined ? undefined : Uint8Array.from(value);
};
export const stateRemove = (key) => kept.remove(key);
export const stateKeys = () => [...kept.keys()];

let wide;
/** Whether whole numbers beyond 2^53 can be handed over. */
export const wideIntegers = () => (wide ??= typeof clock.now() === "bigint");

/** What a function of the contract gives, or the error that it has instead. */
function outcome(call, failed) {
  try {
    return call();
  } catch (error) {
    if (error?.payload === undefined) throw error;
    return failed(error.payload);
  }
}

const reasoned = ({ tag, val }) => ({ kind: tag, reason: val });

export const stateSet = (key, value) => outcome(() => void kept.set(key, value), reasoned);

const SAME = "another one with the same key, type and identifying metadata was emitted before";

export const emit = (target, points) =>
  outcome(
    () =>
      datapoints
        .emit(target, points.map(lowered))
        .map(({ index, reason: { tag, val } }) => ({ index, kind: tag, reason: val ?? SAME })),
    reasoned,
  );

function lowered({ key, value: { type, value }, timestamp, metadata }) {
  const long = wideIntegers() ? BigInt : Number;
  const val =
    type === "integer" || type === "counter64"
      ? long(value)
      : // The bits of 32, as a signed number: one engine takes no others, and both read them back unsigned.
        type === "counter32"
        ? Number(value) | 0
        : value;
  return { key, value: { tag: type, val }, timestamp: timestamp === undefined ? undefined : long(timestamp), metadata };
}

export const devices = () => modbus.devices().map(({ name, units }) => ({ name, units: Array.from(units) }));

export const readMany = (spans) =>
  modbus
    .readMany(spans)
    .map(({ tag, val }) =>
      tag === "ok" ? Array.from(val.val) : val.tag === "exception" ? { kind: val.tag, code: val.val } : denied(reasoned(val)),
    );

export const fetchAll = (requests) =>
  web
    .fetchAll(
      requests.map(({ method, url, headers, body, timeout }) => ({
        method,
        url,
        headers: headers.map(([name, value]) => ({ name, value })),
        body,
        timeoutMs: timeout,
      })),
    )
    .map(({ tag, val }) =>
      tag === "ok"
        ? { status: val.status, body: Uint8Array.from(val.body), headers: val.headers.map(({ name, value }) => [name, value]) }
        : failed(val),
    );

function failed({ tag, val }) {
  if (tag === "too-large") return { kind: tag, limit: Number(val), reason: `the response is larger than ${val} bytes` };
  if (tag === "redirects") return { kind: tag, limit: Number(val), reason: `there were more than ${val} redirects` };
  return denied(reasoned({ tag, val }));
}

const denied = ({ kind, reason }) => ({ kind, reason: kind === "denied" ? `denied: ${reason}` : reason });
