// Which datapoints are taken, and which are refused: the runtime's rules with its defaults.

const MAX_DATAPOINTS = 10_000;
const MAX_BYTES = 512;
const MAX_VALUE = 1e30;
const EARLIEST = 2;
const MAX_AHEAD = 5 * 60 * 1000;
// The numbers that pattoo has for types.
const DATA_TYPES = { integer: 99, scaled: 99, float: 101, counter32: 32, counter64: 64, text: 2 };

const bytes = (text) => new TextEncoder().encode(text).length;

class Refused extends Error {
  constructor(kind, reason) {
    super(reason);
    this.kind = kind;
  }
}

/** What was taken in one collection. */
export class Rules {
  #program;
  #seen = new Set();

  constructor(program) {
    this.#program = program;
  }

  /** Why none of so many datapoints are taken, if none are. */
  refuseAll(target, count) {
    if (bytes(target) < 1 || bytes(target) > MAX_BYTES) {
      return { kind: "target", reason: `the name of a target is 1 to ${MAX_BYTES} bytes, not ${bytes(target)}` };
    }
    if (target.trim() === "" || /\p{Cc}/u.test(target)) return { kind: "target", reason: "the name of a target is printable" };
    if (this.#seen.size + count > MAX_DATAPOINTS) {
      return { kind: "quota", reason: `a collection emits at most ${MAX_DATAPOINTS} datapoints` };
    }
    return undefined;
  }

  /** The datapoint as pattoo has it, or why it is refused. */
  take(now, target, point) {
    try {
      return { taken: this.#take(now, target, point) };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return { refused: { kind: error.kind, reason: error.message } };
    }
  }

  #take(now, target, { key: given, value, timestamp, metadata: described }) {
    const key = this.#key(given, "key");
    if ((value.type === "float" || value.type === "scaled") && !(Math.abs(value.value) < MAX_VALUE)) {
      throw new Refused("value", `the value ${value.value} is not a finite number below 1e30`);
    }
    const metadata = [];
    for (const { key: name, value: said, identifying } of described) {
      const normal = { key: this.#key(name, "metadata"), value: said.trim(), identifying };
      if (bytes(normal.value) > MAX_BYTES) throw new Refused("metadata", `a value of metadata has at most ${MAX_BYTES} bytes`);
      // Of two with the same key the first counts.
      if (metadata.every((other) => other.key !== normal.key)) metadata.push(normal);
    }
    if (timestamp !== undefined && timestamp < EARLIEST) {
      throw new Refused("timestamp", "the timestamp lies before anything that pattoo stores");
    }
    if (timestamp !== undefined && timestamp > now + MAX_AHEAD) {
      throw new Refused("timestamp", "the timestamp is more than 5 minutes ahead of now");
    }
    // What pattoo hashes to tell one series from another. It puts nothing between a key and what follows.
    const identifying = metadata.filter((metadatum) => metadatum.identifying).map((metadatum) => metadatum.key + metadatum.value);
    const identity = JSON.stringify([target, key + DATA_TYPES[value.type], ...identifying]);
    if (this.#seen.has(identity)) {
      throw new Refused("duplicate", "another one with the same key, type and identifying metadata was emitted before");
    }
    this.#seen.add(identity);
    const of = (wanted) =>
      Object.fromEntries(metadata.filter(({ identifying: is }) => is === wanted).map(({ key: name, value: said }) => [name, said]));
    return { target, key, value, metadata: of(true), notes: of(false), time: timestamp };
  }

  #key(key, kind) {
    const normal = key.toLowerCase().trim();
    if (normal === "") throw new Refused(kind, "a key is not empty");
    // The server stores them as one word with a `_` between.
    if (bytes(this.#program) + 1 + bytes(normal) > MAX_BYTES) {
      throw new Refused(kind, `program and key together are longer than the ${MAX_BYTES} bytes that the server has for them`);
    }
    if (normal.includes("pattoo")) throw new Refused(kind, `the key "${normal}" contains \`pattoo\`, which belongs to pattoo itself`);
    return normal;
  }
}
