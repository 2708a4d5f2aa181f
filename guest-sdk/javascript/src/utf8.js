// Text and its bytes. One of the engines has no TextEncoder.

const REPLACEMENT = 0xfffd;

export function encodeUtf8(text) {
  const bytes = [];
  for (const letter of text) {
    let code = letter.codePointAt(0);
    // Half of a pair alone is no letter.
    if (code >= 0xd800 && code <= 0xdfff) code = REPLACEMENT;
    if (code < 0x80) bytes.push(code);
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 0x3f));
    else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
    else bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 0x3f), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
  }
  return Uint8Array.from(bytes);
}

/** As the Encoding Standard does it: each part that is not UTF-8 becomes U+FFFD, and a byte order mark at the start is left out. */
export function decodeUtf8(bytes) {
  if (typeof TextDecoder === "function") return new TextDecoder().decode(bytes);
  return decodeByHand(bytes);
}

export function decodeByHand(bytes) {
  const letters = [];
  let place = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  while (place < bytes.length) {
    const first = bytes[place++];
    if (first < 0x80) {
      letters.push(first);
      continue;
    }
    const more = first >= 0xc2 && first <= 0xdf ? 1 : first >= 0xe0 && first <= 0xef ? 2 : first >= 0xf0 && first <= 0xf4 ? 3 : 0;
    if (more === 0) {
      letters.push(REPLACEMENT);
      continue;
    }
    // What would be too long, half of a pair, or beyond the last letter shows in the second byte.
    let [least, most] = { 0xe0: [0xa0, 0xbf], 0xed: [0x80, 0x9f], 0xf0: [0x90, 0xbf], 0xf4: [0x80, 0x8f] }[first] ?? [0x80, 0xbf];
    let code = first & (0x3f >> more);
    let left = more;
    while (left > 0 && bytes[place] >= least && bytes[place] <= most) {
      code = (code << 6) | (bytes[place++] & 0x3f);
      [least, most] = [0x80, 0xbf];
      left -= 1;
    }
    letters.push(left === 0 ? code : REPLACEMENT);
  }
  let text = "";
  for (let start = 0; start < letters.length; start += 4096) {
    text += String.fromCodePoint(...letters.slice(start, start + 4096));
  }
  return text;
}
