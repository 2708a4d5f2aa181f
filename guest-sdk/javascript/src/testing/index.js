// A host for unit tests; described in index.d.ts.

import { run } from "../run.js";
import { encodeUtf8 } from "../utf8.js";
import * as current from "./current.js";
import { FakeDevice } from "./device.js";
import { Rules } from "./rules.js";

// The runtime's default: all keys and values together.
const MAX_STATE = 1 << 20;

export { FakeDevice };

export class Host {
  #devices = new Map();
  #sites = new Map();

  constructor({
    settings = {},
    program = "TEST",
    pollingInterval = 300,
    collectionTime = 1_700_000_000_000,
    state = {},
    wideIntegers = false,
  } = {}) {
    const kept = Object.entries(state).map(([key, value]) => [key, typeof value === "string" ? encodeUtf8(value) : value]);
    Object.assign(this, { settings, program, pollingInterval, collectionTime, wideIntegers, state: new Map(kept) });
  }

  modbus(name) {
    if (!this.#devices.has(name)) this.#devices.set(name, new FakeDevice(name));
    return this.#devices.get(name);
  }

  http(url, { json, body = "", status = 200, headers = {}, error, reason } = {}) {
    if (origin(url) === undefined) throw new TypeError(`${url} is not an absolute URL with scheme http or https`);
    const fields = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
    if (json !== undefined) fields.push(["content-type", "application/json"]);
    const content = json === undefined ? body : JSON.stringify(json);
    const bytes = typeof content === "string" ? encodeUtf8(content) : content;
    this.#sites.set(url, error === undefined ? { status, headers: fields, body: bytes } : { kind: error, reason });
    return this;
  }

  collect(collect) {
    const underWay = new Run(this, this.#devices, this.#sites);
    const before = current.replace(underWay);
    const { fetch } = globalThis;
    globalThis.fetch = async (input, init) => underWay.globalFetch(input, init);
    const finish = ({ error, thrown }) => {
      globalThis.fetch = fetch;
      current.replace(before);
      if (error === undefined) this.state = underWay.state;
      return Object.assign(underWay.collection, { error, thrown });
    };
    const ended = run(collect);
    return typeof ended.then === "function" ? ended.then(finish) : finish(ended);
  }
}

export class Collection {
  error = undefined;
  thrown = undefined;
  datapoints = [];
  rejections = [];
  logs = [];
  requests = [];
  reads = [];

  values() {
    return this.datapoints.map(({ target, key, value }) => [target, key, value]);
  }

  value(target, key) {
    return this.datapoints.find((point) => point.target === target && point.key === key)?.value;
  }

  messages(...levels) {
    const wanted = levels.length === 0 ? ["info", "warn", "error"] : levels;
    return this.logs.filter(({ level }) => wanted.includes(level)).map(({ message }) => message);
  }

  throwForError() {
    if (this.error !== undefined) throw this.thrown;
    return this;
  }
}

/** One collection under way: what the package calls. */
class Run {
  collection = new Collection();
  #host;
  #devices;
  #sites;
  #rules;
  #elapsed = 0;

  constructor(host, devices, sites) {
    this.#host = host;
    this.#devices = devices;
    this.#sites = sites;
    this.#rules = new Rules(host.program);
    this.state = new Map(host.state);
  }

  program = () => this.#host.program;
  pollingInterval = () => this.#host.pollingInterval;
  collectionTime = () => this.#host.collectionTime;
  settings = () => JSON.stringify(this.#host.settings);
  wideIntegers = () => this.#host.wideIntegers;
  // Clocks move by a millisecond whenever one of them is read, so that tests give the same on each run.
  now = () => this.#host.collectionTime + ++this.#elapsed;
  monotonic = () => ++this.#elapsed * 1e6;
  log = (level, message) => void this.collection.logs.push({ level, message });

  emit(target, points) {
    const refused = this.#rules.refuseAll(target, points.length);
    if (refused !== undefined) return refused;
    const rejections = [];
    points.forEach((point, index) => {
      const outcome = this.#rules.take(this.#host.collectionTime + this.#elapsed, target, point);
      if (outcome.taken === undefined) rejections.push({ index, key: point.key, ...outcome.refused });
      else this.collection.datapoints.push(outcome.taken);
    });
    this.collection.rejections.push(...rejections);
    return rejections;
  }

  devices = () => [...this.#devices.values()].map((device) => device.granted());

  readMany(spans) {
    this.collection.reads.push(...spans);
    return spans.map((span) => this.#devices.get(span.device)?.read(span) ?? { kind: "unknown-device" });
  }

  fetchAll(requests) {
    return requests.map((request) => this.#fetch(request));
  }

  #fetch(request) {
    this.collection.requests.push({ ...request, headers: Object.fromEntries(request.headers) });
    const wanted = origin(request.url);
    if (wanted === undefined) return { kind: "invalid", reason: "the URL is not absolute, or not of scheme http or https" };
    if (![...this.#sites.keys()].some((url) => origin(url) === wanted)) {
      return { kind: "denied", reason: `denied: the origin ${wanted} is not granted` };
    }
    return this.#sites.get(request.url) ?? { status: 404, headers: [], body: encodeUtf8("not found") };
  }

  /** The engine's own `fetch`, which fails with a `TypeError` as in browsers. */
  async globalFetch(input, init) {
    const request = new Request(input, init);
    const body = request.body === null ? undefined : new Uint8Array(await request.arrayBuffer());
    // The URL as it was written: it names what the test set up.
    const url = typeof input === "string" ? input : request.url;
    const answer = this.#fetch({ url, method: request.method, headers: [...request.headers], body });
    if (answer.kind !== undefined) throw new TypeError("fetch failed", { cause: new Error(answer.reason ?? answer.kind) });
    return new Response(answer.body, { status: answer.status, headers: answer.headers });
  }

  stateGet = (key) => this.state.get(key);

  stateSet(key, value) {
    const length = encodeUtf8(key).length;
    if (length < 1 || length > 255) return { kind: "invalid", reason: `a key is 1 to 255 bytes, not ${length}` };
    const after = new Map(this.state).set(key, value);
    const size = [...after].reduce((sum, [name, kept]) => sum + encodeUtf8(name).length + kept.length, 0);
    if (size > MAX_STATE) {
      return { kind: "quota", reason: `all keys and values together would be ${size} bytes, and may be ${MAX_STATE}` };
    }
    this.state = after;
    return undefined;
  }

  stateRemove = (key) => void this.state.delete(key);
  stateKeys = () => [...this.state.keys()].sort();
}

/** Scheme, host and port of an absolute URL. */
function origin(text) {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") return undefined;
  return `${url.protocol}//${url.hostname}:${url.port || (url.protocol === "http:" ? 80 : 443)}`;
}
