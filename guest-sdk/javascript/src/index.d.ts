/**
 * Write a collector for pattoo-wasm: a function that reads Modbus devices and web sites, and emits what it found.
 *
 * ```js
 * import { emit, float, http, integer, modbus, scaled } from "pattoo";
 *
 * export function collect() {
 *   const [level, temperature] = modbus.device("plc1", 7).holdingRegisters(0, 2);
 *   emit("plc1", "level", integer(level), { unit: "007" });
 *   emit("plc1", "temperature", scaled(temperature * 0.1), { unit: "007" });
 *
 *   const price = http.get("http://site-a.example/abc.json").throwForStatus().json();
 *   emit("SITE_A", "ABC", float(price));
 * }
 * ```
 *
 * Every function waits by itself: there is nothing to `await`. What is thrown out of `collect` ends the collection, and its message is
 * what the operator reads. What was emitted before it is kept.
 */

export * as clock from "./clock.js";
export * as decode from "./decode.js";
export * as http from "./http.js";
export * as is from "./is.js";
export * as log from "./log.js";
export * as modbus from "./modbus.js";
export * as state from "./state.js";
export { SettingsError, collectionTime, pollingInterval, program, settings } from "./agent.js";
export {
  type Datapoint,
  EmitError,
  type Metadata,
  type Rejection,
  type TypedValue,
  type Value,
  counter32,
  counter64,
  emit,
  emitAll,
  float,
  integer,
  scaled,
  text,
} from "./datapoints.js";
export { PattooError } from "./errors.js";
