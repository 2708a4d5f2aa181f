// The way from a function `collect` to the export of a component. `pattoo-build` uses it, and no collector needs to.

import * as host from "#host";
import * as log from "./log.js";
import { run } from "./run.js";

export function exported(collect) {
  return () => {
    globalThis.console = { ...globalThis.console, trace: log.trace, debug: log.debug, log: log.info, info: log.info, warn: log.warn, error: log.error };
    Math.random = random();
    const ended = run(collect);
    if (typeof ended.then !== "function") return settle(ended);
    if (!host.wideIntegers()) {
      throw "`collect` is asynchronous, which this engine does not wait for: leave out `async`, every function of pattoo waits by itself";
    }
    return ended.then(settle);
  };
}

function settle({ error }) {
  if (error !== undefined) throw Object.assign(new Error(error), { payload: error });
}

/** A component is a JavaScript that has started already, once and for all, and so its random numbers are always the same. */
function random() {
  // sfc32, seeded with what no two collections have in common.
  let state = [host.collectionTime() | 0, (host.collectionTime() / 2 ** 32) | 0, host.monotonic() | 0, host.now() | 0];
  const next = () => {
    const [a, b, c, d] = state;
    const sum = (((a + b) | 0) + d) | 0;
    state = [b ^ (b >>> 9), (c + (c << 3)) | 0, (((c << 21) | (c >>> 11)) + sum) | 0, (d + 1) | 0];
    return sum >>> 0;
  };
  for (let round = 0; round < 15; round += 1) next();
  return () => ((next() >>> 5) * 2 ** 26 + (next() >>> 6)) / 2 ** 53;
}
