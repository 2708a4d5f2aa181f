import { PattooError } from "./errors.js";

/**
 * What registers mean: integers and floats of 16, 32 and 64 bits in every word and byte order, BCD, bits, and text.
 *
 * Modbus transmits registers of 16 bits and says nothing about anything wider, so each manufacturer chose an order. Manuals name
 * it by what becomes of the four bytes `ABCD`, most significant first.
 *
 * ```js
 * const read = decode.registers([0xe979, 0x42f6, 0xffff], "CDAB");
 * read.f32(0); // 123.456: 0x42F6E979 as a float of 32 bits
 * read.i16(2); // -1
 * ```
 */

/**
 * How the bytes of a value are spread over registers. `A` is the most significant byte, and a register transmits its high byte
 * first. `ABCD` is the order of Modbus itself, `CDAB` has the least significant register first, `BADC` the two bytes of each register
 * swapped, `DCBA` both. Names of eight letters are the same for 64 bits, and each order holds for any width.
 */
export type Order = "ABCD" | "CDAB" | "BADC" | "DCBA" | "ABCDEFGH" | "GHEFCDAB" | "BADCFEHG" | "HGFEDCBA";

/** Registers that were read, in the order of their device (`ABCD` unless given). */
export function registers(read: Iterable<number>, order?: Order): Registers;

/**
 * Every reading function takes the place of the value's first register among those that were read, from 0: not the address in the
 * device. One that needs more registers than there are throws a `DecodeError` of kind `range`.
 */
export class Registers {
  constructor(read: Iterable<number>, order?: Order);
  readonly length: number;
  /** The same registers, read in another order. */
  inOrder(order: Order): Registers;
  u16(place: number): number;
  i16(place: number): number;
  u32(place: number): number;
  i32(place: number): number;
  u64(place: number): bigint;
  i64(place: number): bigint;
  /** IEEE 754 binary16. Like its wider kin it may be infinite or not a number, which pattoo refuses. */
  f16(place: number): number;
  f32(place: number): number;
  f64(place: number): number;
  /** One register of packed BCD: four decimal digits, so that 0x1234 is 1234. Throws a `DecodeError` of kind `digit` if one is above 9. */
  bcd16(place: number): number;
  bcd32(place: number): number;
  /** Four registers: 16 decimal digits. */
  bcd64(place: number): bigint;
  /** The 16 bits of a register, the least significant first: `bits(0)[3]` is the one of value 8. */
  bits(place: number): boolean[];
  /**
   * The number that bits `first` to `last` of a register make, counted from 0 for the least significant: `field(0, 4, 6)` of
   * `0b0101_0000` is 5. Bits beyond the 15th are 0.
   */
  field(place: number, first: number, last: number): number;
  /**
   * `count` registers of two ASCII characters each, up to the first NUL and without white space around it. The first register
   * comes first in any order; a byte that is not ASCII becomes `U+FFFD`.
   */
  text(place: number, count: number): string;
}

/** Registers are not what was asked for. */
export class DecodeError extends PattooError {
  readonly kind: "range" | "digit";
  /** The place of the value's first register. */
  readonly place: number;
}

/** From the number in registers to what it stands for: times `scale` (1 unless given), plus `offset` (0 unless given). */
export function linear(terms?: { scale?: number; offset?: number }): (number: number | bigint) => number;
