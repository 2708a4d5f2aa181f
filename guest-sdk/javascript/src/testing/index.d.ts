/**
 * A host for unit tests: what the runtime would be, under the control of the test, on the machine that runs it.
 *
 * ```js
 * import assert from "node:assert/strict";
 * import { test } from "node:test";
 * import { integer } from "pattoo";
 * import { Host } from "pattoo/testing";
 * import { collect } from "./collector.js";
 *
 * test("the level is emitted", () => {
 *   const host = new Host({ settings: { device: "plc1" } });
 *   host.modbus("plc1").unit(7).holdingRegisters(0, [17, 42]);
 *
 *   const collection = host.collect(collect).throwForError();
 *
 *   assert.deepEqual(collection.values(), [["plc1", "level", integer(42)]]);
 * });
 * ```
 *
 * Nothing is granted that the test did not set up, just like in the field. The host follows the rules of the contract as far as a
 * collector's logic can depend on them: which datapoints are refused, what is denied, what a device answers. It knows none of the
 * limits on time and sizes except the number of datapoints, no redirects, and neither methods nor paths of a grant. Only the
 * runtime knows those, and `pattoo-wasm run` shows them.
 */

import type { Rejection, TypedValue } from "../index.js";
import type { HttpError, Request } from "../http.js";
import type { ModbusError, Span, Table } from "../modbus.js";

/** What a test sets up. Its clocks move by a millisecond whenever one of them is read, so that tests give the same on each run. */
export class Host {
  constructor(setUp?: {
    /** What the operator set. */
    settings?: object;
    /** The name of the program; `TEST` unless given. */
    program?: string;
    /** Seconds between the starts of two collections; 300 unless given. */
    pollingInterval?: number;
    /** When the collection begins, in Unix milliseconds. */
    collectionTime?: number;
    /** What an earlier collection left behind. */
    state?: Record<string, string | Uint8Array>;
    /** Whether whole numbers beyond 2^53 can be emitted: StarlingMonkey can, QuickJS cannot. `false` unless given. */
    wideIntegers?: boolean;
  });
  settings: object;
  /** What an earlier collection left behind, and after one, what the next will find. */
  state: Map<string, Uint8Array>;
  /** Grants a device, and gives it back to be told what it answers. */
  modbus(name: string): FakeDevice;
  /**
   * Grants the origin of a URL, and says what is found under that URL: a body, JSON, or an error. Any other URL of the origin is
   * answered with status 404. The engine's own `fetch` finds the same.
   */
  http(
    url: string,
    answer?: {
      json?: unknown;
      body?: string | Uint8Array;
      status?: number;
      headers?: Record<string, string>;
      error?: HttpError["kind"];
      reason?: string;
    },
  ): this;
  /** Makes one collection. The host may be used for another one, which finds the `state` that this one left. */
  collect(collect: () => Promise<unknown>): Promise<Collection>;
  collect(collect: () => unknown): Collection;
}

/** A device that a test granted. What is said of registers and faults is about the unit that was named last; unit 1 if none was. */
export class FakeDevice {
  readonly name: string;
  /** Grants a unit; what follows is about it. The first one is the default. */
  unit(number: number): this;
  coils(address: number, bits: Iterable<boolean>): this;
  discreteInputs(address: number, bits: Iterable<boolean>): this;
  holdingRegisters(address: number, registers: Iterable<number>): this;
  inputRegisters(address: number, registers: Iterable<number>): this;
  /** Answers every read that touches this address with an exception. */
  exception(table: Table, address: number, code: number): this;
  /** Lets every read of the unit fail, as with `timeout`. */
  fail(kind: Exclude<ModbusError["kind"], "exception">, reason?: string): this;
}

/** What came of a collection. */
export class Collection {
  /** How it ended: `undefined` if well, else the text that the operator would read. */
  readonly error: string | undefined;
  /** What was thrown, if anything was. */
  readonly thrown: unknown;
  /** What was taken, in order. Keys and metadata are as pattoo has them: keys in lower case, no white space around anything. */
  readonly datapoints: readonly {
    target: string;
    key: string;
    value: TypedValue;
    metadata: Record<string, string>;
    notes: Record<string, string>;
    time: number | undefined;
  }[];
  /** What was refused, in order. */
  readonly rejections: readonly Rejection[];
  /** What was logged, in order. */
  readonly logs: readonly { level: "trace" | "debug" | "info" | "warn" | "error"; message: string }[];
  /** What was fetched, or tried to, in order. */
  readonly requests: readonly Request[];
  /** What was read of devices, or tried to, in order. */
  readonly reads: readonly Span[];
  /** Target, key and value of what was taken, in order: the short form for a test that looks at all of it. */
  values(): [string, string, TypedValue][];
  /** The value that was taken of a target under a key, which is in lower case; the first one if there are several. */
  value(target: string, key: string): TypedValue | undefined;
  /** What was logged at these levels; at `info` and above unless given. */
  messages(...levels: string[]): string[];
  /** Throws what was thrown, if anything was, for a test that wants its stack; else gives back the collection. */
  throwForError(): this;
}
