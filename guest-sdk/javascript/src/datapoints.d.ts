import { PattooError } from "./errors.js";

/** A value with its type of pattoo, made by `integer`, `float` and their kind. */
export interface TypedValue {
  readonly type: "integer" | "scaled" | "float" | "counter32" | "counter64" | "text";
  readonly value: number | bigint | string;
}

/**
 * A measured value. JavaScript has one kind of number and pattoo two, so a number is said to be an `integer` or a `float`; a string
 * is a text, and a BigInt an integer, without more words.
 */
export type Value = TypedValue | string | bigint;

/**
 * A whole number of 64 bits. A Number holds 53 of them; beyond that it takes a BigInt, and the engine StarlingMonkey: QuickJS cannot
 * hand over more, and there such a value is refused. The same holds for `counter64`.
 */
export function integer(value: number | bigint): TypedValue;
/** A number that was whole before a multiplier was applied, which pattoo files under integers: `scaled(235 * 0.1)`. */
export function scaled(value: number): TypedValue;
/** A floating-point number, finite and of an absolute value below 1e30. */
export function float(value: number): TypedValue;
/** A counter that only grows and wraps at 2^32. Pattoo stores its rate of change. */
export function counter32(value: number | bigint): TypedValue;
/** A counter that only grows and wraps at 2^64. Pattoo stores its rate of change. */
export function counter64(value: number | bigint): TypedValue;
/** Text. The server accepts it and keeps it out of its time series. */
export function text(value: string): TypedValue;

/** Names and values that describe a datapoint. Values are written as text, as metadata always is in pattoo. */
export type Metadata = Readonly<Record<string, string | number | bigint | boolean>>;

/** One measurement of one thing at one moment. */
export interface Datapoint {
  /**
   * What was measured, such as `input_register_30386`. Lower-cased and stripped of white space around it; refused when then
   * empty, when it contains `pattoo`, or when it is too long (program and key together hold 512 bytes).
   */
  key: string;
  value: Value;
  /** What is part of the series: another value is another series on the server, and so is another order. Example: a serial number. */
  metadata?: Metadata;
  /** What can change without starting a new series. Example: a firmware version. */
  notes?: Metadata;
  /**
   * When it was measured, as a Date or in Unix milliseconds; the moment in which it is emitted unless given. More than 5 minutes
   * ahead of the host's clock (unless set otherwise) is refused.
   */
  time?: Date | number;
}

/** One datapoint that was not taken. */
export interface Rejection {
  /** Its place among those that were emitted together, from 0. */
  readonly index: number;
  /** Its key, as it was given. */
  readonly key: string;
  readonly kind: "key" | "value" | "metadata" | "timestamp" | "duplicate" | "other";
  /** Why, for the author of the collector. */
  readonly reason: string;
}

/**
 * Emits one value of a target: the device, site or thing that was measured, such as `plc1` (1 to 512 bytes). Throws an `EmitError` if
 * it was not taken; for many values `emitAll` serves better.
 */
export function emit(
  target: string,
  key: string,
  value: Value,
  metadata?: Metadata,
  options?: { notes?: Metadata; time?: Date | number },
): void;

/**
 * Emits many datapoints of a target in one step, and returns those that were refused: none, if all is well. One that is refused
 * costs no other. The runtime logs them, so a collector may leave it at that.
 *
 * Throws an `EmitError` if none were taken, because of the target's name or a limit.
 */
export function emitAll(target: string, datapoints: Iterable<Datapoint>): Rejection[];

/** Datapoints were not taken. Where `kind` is `rejected`, `rejections` has each, and the others of the same call were taken. */
export class EmitError extends PattooError {
  readonly target: string;
  readonly kind: "rejected" | "target" | "quota" | "other";
  readonly reason: string;
  readonly rejections: readonly Rejection[];
}
