// The contract of pattoo-wasm for AssemblyScript: its functions as the canonical ABI has them, and a thin layer of classes and
// strings over them. Copy this file beside your collector.
//
// AssemblyScript has no exceptions to catch: a function that can fail returns null (or false), and `failure` has the reason in
// words. Nothing has to be freed, since the instance is dropped after the collection.

export let failure: string = "";

export function fail(text: string): void {
  failure = text;
}

// ---- Memory and texts

/** Where the host puts what it returns. */
export function cabi_realloc(old: usize, oldSize: usize, align: usize, size: usize): usize {
  const fresh = heap.alloc(size);
  if (oldSize > 0) memory.copy(fresh, old, min(oldSize, size));
  return fresh;
}

function decoded(bytes: usize, length: usize): string {
  return String.UTF8.decodeUnsafe(bytes, length);
}

/** A string as the host takes it. */
class Text {
  bytes: ArrayBuffer;
  constructor(text: string) {
    this.bytes = String.UTF8.encode(text);
  }
  get pointer(): usize {
    return changetype<usize>(this.bytes);
  }
  get length(): usize {
    return this.bytes.byteLength;
  }
}

/** Room for the results of a function, and for records that go to the host. */
function room(size: usize): usize {
  const fresh = heap.alloc(max<usize>(size, 8));
  memory.fill(fresh, 0, size);
  return fresh;
}

@unmanaged class RawOutcome { failed: u8; message: usize; length: usize; }

/** What `collect` returns: nothing if it went well, else the failure. */
export function outcome(well: bool): usize {
  const end = changetype<RawOutcome>(room(offsetof<RawOutcome>()));
  if (!well) {
    const message = new Text(failure);
    end.failed = 1;
    end.message = message.pointer;
    end.length = message.length;
  }
  return changetype<usize>(end);
}

// ---- Who this collector is, the log

@external("pattoo:agent/agent@0.1.0", "settings") declare function host_settings(result: usize): void;
@external("pattoo:agent/agent@0.1.0", "collection-time") declare function host_collection_time(): u64;
@external("pattoo:agent/log@0.1.0", "log") declare function host_log(level: i32, message: usize, length: usize): void;

/** What the operator set: a JSON object. */
export function settings(): string {
  const result = room(8);
  host_settings(result);
  return decoded(load<usize>(result), load<usize>(result, 4));
}

/** Unix milliseconds; does not change during a collection. */
export function collectionTime(): u64 {
  return host_collection_time();
}

export enum Level { Trace, Debug, Info, Warn, Error }

export function log(level: Level, message: string): void {
  const text = new Text(message);
  host_log(level, text.pointer, text.length);
}

// ---- Measurements

/** A measured value: what it is made with chooses pattoo's data type. */
export class Value {
  private constructor(public tag: u8, public payload: u64, public kept: Text | null) {}

  static integer(integer: i64): Value { return new Value(0, <u64>integer, null); }
  /** Was whole before a multiplier was applied: register 235 x 0.1 = 23.5. */
  static scaled(number: f64): Value { return new Value(1, reinterpret<u64>(number), null); }
  static float(number: f64): Value { return new Value(2, reinterpret<u64>(number), null); }
  /** Only grows, and wraps at 2^32. */
  static counter32(count: u32): Value { return new Value(3, count, null); }
  static counter64(count: u64): Value { return new Value(4, count, null); }
  static text(text: string): Value {
    const kept = new Text(text);
    return new Value(5, <u64>kept.pointer | <u64>kept.length << 32, kept);
  }
}

export class Metadatum {
  /** It identifies if another value is another series in pattoo. */
  constructor(public key: string, public value: string, public identifying: bool = true) {}
}

export class Datapoint {
  metadata: Metadatum[] = [];
  /** Unix milliseconds; 0 stands for the moment in which it is emitted. */
  timestamp: u64 = 0;
  constructor(public key: string, public value: Value) {}
}

/** A datapoint that was refused. */
export class Rejection {
  /** The place is that among those that were emitted together. */
  constructor(public index: i32, public reason: string) {}
}

@unmanaged class RawMetadatum { key: usize; keyLength: usize; value: usize; valueLength: usize; identifying: u8; }
@unmanaged class RawDatapoint {
  key: usize; keyLength: usize; tag: u8; payload: u64; timed: u8; timestamp: u64; metadata: usize; metadataCount: usize;
}
@unmanaged class RawEmitted { failed: u8; items: usize; count: usize; length: usize; }
@unmanaged class RawRejection { index: u32; tag: u8; reason: usize; length: usize; }

// Of a record of 17 bytes the next one lies at 20.
const METADATUM_SIZE: i32 = 20;

@external("pattoo:agent/datapoints@0.1.0", "emit")
declare function host_emit(target: usize, length: usize, points: usize, count: usize, result: usize): void;

/**
 * Emits datapoints of one target: the device, site or thing that was measured. One that is refused costs no other, and is among
 * those returned; the host logs it in any case. Null if none were taken.
 */
export function emit(target: string, points: Datapoint[]): Rejection[] | null {
  const raw = room(points.length * offsetof<RawDatapoint>());
  for (let i = 0; i < points.length; i++) {
    const point = points[i], key = new Text(point.key);
    const to = changetype<RawDatapoint>(raw + i * offsetof<RawDatapoint>());
    to.key = key.pointer;
    to.keyLength = key.length;
    to.tag = point.value.tag;
    to.payload = point.value.payload;
    to.timed = point.timestamp != 0 ? 1 : 0;
    to.timestamp = point.timestamp;
    to.metadata = room(point.metadata.length * METADATUM_SIZE);
    to.metadataCount = point.metadata.length;
    for (let n = 0; n < point.metadata.length; n++) {
      const name = new Text(point.metadata[n].key), value = new Text(point.metadata[n].value);
      const one = changetype<RawMetadatum>(to.metadata + n * METADATUM_SIZE);
      one.key = name.pointer;
      one.keyLength = name.length;
      one.value = value.pointer;
      one.valueLength = value.length;
      one.identifying = point.metadata[n].identifying ? 1 : 0;
    }
  }
  const name = new Text(target), result = changetype<RawEmitted>(room(offsetof<RawEmitted>()));
  host_emit(name.pointer, name.length, raw, points.length, changetype<usize>(result));
  if (result.failed) {
    // There the case of the error comes first, then its text.
    failure = `target ${target}: ${decoded(result.count, result.length)}`;
    return null;
  }
  const rejections: Rejection[] = [];
  for (let i: usize = 0; i < result.count; i++) {
    const one = changetype<RawRejection>(result.items + i * offsetof<RawRejection>());
    const duplicate: u8 = 4;
    const reason = one.tag == duplicate ? "it was emitted before" : decoded(one.reason, one.length);
    rejections.push(new Rejection(one.index, reason));
  }
  return rejections;
}

// ---- Modbus

export enum Table { Coils, DiscreteInputs, HoldingRegisters, InputRegisters }

/** One stretch of one table. Addresses are those of the wire, from 0. */
export class Span {
  /** A unit of -1 stands for the default one of the grant. */
  constructor(public device: string, public unit: i32, public table: Table, public address: u16, public count: u16) {}
}

/** What became of a span: registers or bits; or an exception, when the device itself said no; or a failure in words. */
export class Read {
  registers: u16[] = [];
  bits: bool[] = [];
  exception: u8 = 0;
  failure: string = "";
  get isWell(): bool {
    return this.exception == 0 && this.failure.length == 0;
  }
}

@unmanaged class RawSpan { device: usize; length: usize; unitGiven: u8; unit: u8; table: u8; address: u16; count: u16; }
@unmanaged class RawRead { failed: u8; tag: u32; items: usize; count: usize; }
@unmanaged class RawList { items: usize; count: usize; }

@external("pattoo:agent/modbus@0.1.0", "read-many")
declare function host_read_many(spans: usize, count: usize, result: usize): void;

/** Reads many spans at once, each result in its place. What fails costs only itself. */
export function readMany(spans: Span[]): Read[] {
  const raw = room(spans.length * offsetof<RawSpan>());
  for (let i = 0; i < spans.length; i++) {
    const span = spans[i], device = new Text(span.device), to = changetype<RawSpan>(raw + i * offsetof<RawSpan>());
    to.device = device.pointer;
    to.length = device.length;
    to.unitGiven = span.unit >= 0 ? 1 : 0;
    to.unit = <u8>span.unit;
    to.table = <u8>span.table;
    to.address = span.address;
    to.count = span.count;
  }
  const list = changetype<RawList>(room(offsetof<RawList>()));
  host_read_many(raw, spans.length, changetype<usize>(list));
  const reads: Read[] = [];
  for (let i: usize = 0; i < list.count; i++) reads.push(readOf(changetype<RawRead>(list.items + i * offsetof<RawRead>())));
  return reads;
}

function readOf(raw: RawRead): Read {
  const read = new Read();
  // Only a byte of it is the case.
  const tag = <u8>raw.tag;
  if (raw.failed) {
    if (tag == 1) read.failure = "no device of that name is granted";
    else if (tag == 2) read.exception = <u8>raw.items;
    else if (tag == 3) read.failure = "the device did not answer in time";
    else read.failure = decoded(raw.items, raw.count);
  } else if (tag == 0) {
    for (let i: usize = 0; i < raw.count; i++) read.bits.push(load<u8>(raw.items + i) != 0);
  } else {
    for (let i: usize = 0; i < raw.count; i++) read.registers.push(load<u16>(raw.items + i * 2));
  }
  return read;
}

/** What the specification calls an exception. */
export function exceptionName(code: u8): string {
  switch (code) {
    case 1: return "illegal function";
    case 2: return "illegal data address";
    case 3: return "illegal data value";
    case 4: return "server device failure";
    case 5: return "acknowledge";
    case 6: return "server device busy";
    case 8: return "memory parity error";
    case 10: return "gateway path unavailable";
    case 11: return "gateway target device failed to respond";
    default: return "unknown";
  }
}

// ---- HTTP

export class Header {
  constructor(public name: string, public value: string) {}
}

/** Every status is a response, 404 and 500 too. */
export class Response {
  constructor(public status: u16, public text: string) {}
}

@unmanaged class RawHeader { name: usize; nameLength: usize; value: usize; valueLength: usize; }

@external("pattoo:agent/http@0.1.0", "fetch")
declare function host_fetch(
  method: usize, methodLength: usize, url: usize, urlLength: usize, headers: usize, headerCount: usize,
  bodyGiven: i32, body: usize, bodySize: usize, timeoutGiven: i32, timeout: i32, result: usize,
): void;

/** Fetches a page with GET. Null if there is no response. */
export function get(url: string, headers: Header[]): Response | null {
  const raw = room(headers.length * offsetof<RawHeader>());
  for (let i = 0; i < headers.length; i++) {
    const name = new Text(headers[i].name), value = new Text(headers[i].value);
    const to = changetype<RawHeader>(raw + i * offsetof<RawHeader>());
    to.name = name.pointer;
    to.nameLength = name.length;
    to.value = value.pointer;
    to.valueLength = value.length;
  }
  // A byte that tells whether it failed; at 8 a status, a list of headers and the body, or the case of an error and, at 16,
  // what it has.
  const method = new Text("GET"), address = new Text(url), result = room(32);
  host_fetch(method.pointer, method.length, address.pointer, address.length, raw, headers.length, 0, 0, 0, 0, 0, result);
  if (!load<u8>(result)) return new Response(load<u16>(result, 8), decoded(load<usize>(result, 20), load<usize>(result, 24)));
  const tag = load<u8>(result, 8);
  let why: string;
  if (tag == 2) why = "the request timed out";
  else if (tag == 5) why = `the response is larger than ${load<u64>(result, 16)} bytes`;
  else if (tag == 6) why = `there were more than ${load<u32>(result, 16)} redirects`;
  else why = decoded(load<usize>(result, 16), load<usize>(result, 20));
  failure = `GET ${url}: ${why}`;
  return null;
}

// ---- State

@external("pattoo:agent/state@0.1.0", "get") declare function host_state_get(key: usize, length: usize, result: usize): void;
@external("pattoo:agent/state@0.1.0", "set")
declare function host_state_set(key: usize, length: usize, value: usize, size: usize, result: usize): void;

/** The text that an earlier collection left under a key; null if there is none. */
export function kept(key: string): string | null {
  const name = new Text(key), result = room(12);
  host_state_get(name.pointer, name.length, result);
  return load<u8>(result) ? decoded(load<usize>(result, 4), load<usize>(result, 8)) : null;
}

/** Leaves a text for the next collection, if this one ends well. */
export function keep(key: string, value: string): bool {
  const name = new Text(key), text = new Text(value), result = room(16);
  host_state_set(name.pointer, name.length, text.pointer, text.length, result);
  if (load<u8>(result)) failure = `state ${key} was not set: ${decoded(load<usize>(result, 8), load<usize>(result, 12))}`;
  return !load<u8>(result);
}
