/** Checks of what JSON has, for `settings` and for `json` of a response. */

/** A check gives the value back, or throws and names its place. */
export type Check<T> = (value: unknown, at: string) => T;
/** A check, or an object of shapes. Members that it does not name are left out. */
export type Shape = Check<any> | { readonly [key: string]: Shape };
/** What comes out of a shape. */
export type Checked<S> = S extends Check<infer T> ? T : { -readonly [K in keyof S]: Checked<S[K]> };

export const text: Check<string>;
/** Any number. */
export const number: Check<number>;
export const boolean: Check<boolean>;
/** A whole number, between these two if they are given. */
export function integer(least?: number, most?: number): Check<number>;
/** One of these values. */
export function oneOf<const T extends readonly (string | number | boolean)[]>(...values: T): Check<T[number]>;
/** A list whose elements all have a shape. */
export function listOf<S extends Shape>(shape: S): Check<Checked<S>[]>;
/** What may be missing or null, and what it is then. */
export function optional<S extends Shape>(shape: S): Check<Checked<S> | undefined>;
export function optional<S extends Shape, D>(shape: S, otherwise: D): Check<Checked<S> | D>;
/** Whatever it is. */
export const anything: Check<any>;

/** Holds a value against a shape: gives it back, or throws a `Misfit` that names what does not fit. */
export function check<S extends Shape>(value: unknown, shape: S): Checked<S>;
/** A value does not fit its shape. */
export class Misfit extends Error {
  /** The part that does not fit, such as `lines[0].length`; empty for the whole. */
  readonly at: string;
  /** What about it does not fit. */
  readonly text: string;
}
