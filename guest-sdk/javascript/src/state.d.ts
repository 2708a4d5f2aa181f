import { PattooError } from "./errors.js";

/**
 * Small values that survive from one collection of this program to the next, such as a cursor or the last value seen.
 *
 * Reads see the collection's own writes. What was written is kept, all of it at once, only when the collection ends well: one
 * that fails changes nothing.
 */

/** The value of a key as text in UTF-8, or `undefined` if it was never set. */
export function get(key: string): string | undefined;
/** The value of a key as it is. */
export function getBytes(key: string): Uint8Array | undefined;
/**
 * Sets a value, replacing the one before. A key is 1 to 255 bytes, and all values of the program together have a limit (1 MiB
 * unless set); beyond it throws a `StateError`.
 */
export function set(key: string, value: string | Uint8Array): void;
/** Removes a key. One that was never set is not an error. */
export function remove(key: string): void;
/** All keys, sorted. */
export function keys(): string[];

/** A value was not set. */
export class StateError extends PattooError {
  readonly key: string;
  readonly kind: "quota" | "invalid" | "other";
  readonly reason: string;
}
