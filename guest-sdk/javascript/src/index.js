// Everything a collector needs. What it offers is described in index.d.ts, which editors show.

export * as clock from "./clock.js";
export * as decode from "./decode.js";
export * as http from "./http.js";
export * as is from "./is.js";
export * as log from "./log.js";
export * as modbus from "./modbus.js";
export * as state from "./state.js";
export { SettingsError, collectionTime, pollingInterval, program, settings } from "./agent.js";
export { EmitError, counter32, counter64, emit, emitAll, float, integer, scaled, text } from "./datapoints.js";
export { PattooError } from "./errors.js";
