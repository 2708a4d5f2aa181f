// Text and its bytes, against what Node has for it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { decodeByHand, encodeUtf8 } from "../src/utf8.js";

test("text is encoded as TextEncoder does it", () => {
  for (const text of ["", "A", "é水𝄞\u{10ffff}\u07ff\u0800", "a\ud800b", "\udc00", "\0"]) {
    assert.deepEqual(encodeUtf8(text), new TextEncoder().encode(text), JSON.stringify(text));
  }
});

test("bytes are decoded as TextDecoder does it, whatever they are", () => {
  const interesting = [0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xbb, 0xf0, 0xf4, 0xf5, 0xff];
  let seed = 7;
  const random = (below) => (seed = (seed * 1103515245 + 12345) % 2 ** 31) % below;
  for (let round = 0; round < 20_000; round += 1) {
    const bytes = Uint8Array.from({ length: random(7) }, () => interesting[random(interesting.length)]);
    assert.equal(decodeByHand(bytes), new TextDecoder().decode(bytes), String(bytes));
  }
  const long = new TextEncoder().encode("水".repeat(10_000));
  assert.equal(decodeByHand(long), new TextDecoder().decode(long));
});
