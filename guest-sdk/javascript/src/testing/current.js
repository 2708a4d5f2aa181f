// What the package calls when it is no component: the host that a test has set up.

let current;

/** Puts a host in place, and gives back the one before. */
export function replace(host) {
  const before = current;
  current = host;
  return before;
}

function host() {
  if (current === undefined) throw new Error("there is no host: outside of wasm, call this from within what `Host.collect` of pattoo/testing is given");
  return current;
}

export const program = () => host().program();
export const pollingInterval = () => host().pollingInterval();
export const collectionTime = () => host().collectionTime();
export const settings = () => host().settings();
export const now = () => host().now();
export const monotonic = () => host().monotonic();
export const log = (level, message) => host().log(level, message);
export const wideIntegers = () => host().wideIntegers();
export const emit = (target, points) => host().emit(target, points);
export const devices = () => host().devices();
export const readMany = (spans) => host().readMany(spans);
export const fetchAll = (requests) => host().fetchAll(requests);
export const stateGet = (key) => host().stateGet(key);
export const stateSet = (key, value) => host().stateSet(key, value);
export const stateRemove = (key) => host().stateRemove(key);
export const stateKeys = () => host().stateKeys();
