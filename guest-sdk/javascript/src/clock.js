import * as host from "#host";

export { now } from "#host";

export function monotonic() {
  return host.monotonic() / 1e6;
}
