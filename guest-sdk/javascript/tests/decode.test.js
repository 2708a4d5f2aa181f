// The decoders, held against vectors/decode.json.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { decode } from "pattoo";

const vectors = JSON.parse(readFileSync(new URL("../../vectors/decode.json", import.meta.url), "utf8"));
const FLOATS = ["f16", "f32", "f64"];

/** What we make of a vector: an expected value, or the name of an error. */
function decoded({ type, order, registers, place, first, last, count, scale, offset }) {
  const read = decode.registers(registers, order);
  const more = { text: [count], field: [first, last] }[type] ?? [];
  try {
    const value = read[type](place, ...more);
    if (type === "bits") return value.map(Number).reverse().join("");
    if (scale !== undefined || offset !== undefined) return exact(decode.linear({ scale, offset })(value));
    return FLOATS.includes(type) ? exact(value) : String(value);
  } catch (error) {
    assert(error instanceof decode.DecodeError, error);
    return { error: error.kind };
  }
}

function wanted({ type, scale, expected, error }) {
  if (error !== undefined) return { error };
  if (!FLOATS.includes(type) && scale === undefined) return expected;
  return exact({ inf: Infinity, "-inf": -Infinity }[expected] ?? Number(expected));
}

/** By its bits, so that -0 is not 0; all that are not a number alike. */
function exact(number) {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, number);
  return Number.isNaN(number) ? "nan" : view.getBigUint64(0).toString(16);
}

test("every vector decodes as expected", () => {
  assert(vectors.length > 500);
  for (const vector of vectors) assert.deepEqual(decoded(vector), wanted(vector), JSON.stringify(vector));
});

test("errors say what does not fit", () => {
  const read = decode.registers([0, 0x12e4]);
  assert.throws(() => read.u32(1), /a value of 2 registers at place 1 does not fit into the 2 that were read/);
  assert.throws(() => read.u16(-1), decode.DecodeError);
  assert.throws(() => read.bcd16(1), /the value at place 1 is not in BCD: digit 2 of it is 0xE/);
  assert.throws(() => decode.registers([0], "ABDC"), /ABDC is no order/);
});

test("bits that no register has are zero", () => {
  const read = decode.registers([0xffff]);
  assert.deepEqual([read.field(0, 14, 200), read.field(0, 16, 17), read.field(0, 9, 8)], [3, 0, 0]);
});
