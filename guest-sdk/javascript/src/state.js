import * as host from "#host";
import { PattooError } from "./errors.js";
import { decodeUtf8, encodeUtf8 } from "./utf8.js";

export class StateError extends PattooError {
  constructor(key, kind, reason) {
    super(`state \`${key}\` was not set: ${reason}`);
    Object.assign(this, { key, kind, reason });
  }
}

export function get(key) {
  const bytes = host.stateGet(key);
  return bytes === undefined ? undefined : decodeUtf8(bytes);
}

export function getBytes(key) {
  return host.stateGet(key);
}

export function set(key, value) {
  if (typeof value !== "string" && !(value instanceof Uint8Array)) {
    throw new TypeError(`state \`${key}\` is text or a Uint8Array, not ${typeof value}`);
  }
  const failed = host.stateSet(key, typeof value === "string" ? encodeUtf8(value) : value);
  if (failed !== undefined) throw new StateError(key, failed.kind, failed.reason);
}

export function remove(key) {
  host.stateRemove(key);
}

export function keys() {
  return host.stateKeys();
}
