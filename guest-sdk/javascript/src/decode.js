import { PattooError } from "./errors.js";

const ORDERS = {
  ABCD: [false, false],
  CDAB: [true, false],
  BADC: [false, true],
  DCBA: [true, true],
};
Object.assign(ORDERS, { ABCDEFGH: ORDERS.ABCD, GHEFCDAB: ORDERS.CDAB, BADCFEHG: ORDERS.BADC, HGFEDCBA: ORDERS.DCBA });

export class DecodeError extends PattooError {
  constructor(kind, place, reason) {
    super(reason);
    Object.assign(this, { kind, place });
  }
}

export function registers(read, order = "ABCD") {
  return new Registers(read, order);
}

export class Registers {
  #read;
  #lowWordFirst;
  #bytesSwapped;

  constructor(read, order = "ABCD") {
    if (!Object.hasOwn(ORDERS, order)) throw new RangeError(`${order} is no order; there are ABCD, CDAB, BADC and DCBA`);
    this.#read = [...read];
    [this.#lowWordFirst, this.#bytesSwapped] = ORDERS[order];
  }

  get length() {
    return this.#read.length;
  }

  inOrder(order) {
    return new Registers(this.#read, order);
  }

  u16(place) {
    return this.#view(place, 1).getUint16(0);
  }

  i16(place) {
    return this.#view(place, 1).getInt16(0);
  }

  u32(place) {
    return this.#view(place, 2).getUint32(0);
  }

  i32(place) {
    return this.#view(place, 2).getInt32(0);
  }

  u64(place) {
    return this.#view(place, 4).getBigUint64(0);
  }

  i64(place) {
    return this.#view(place, 4).getBigInt64(0);
  }

  f16(place) {
    const bits = this.u16(place);
    const [exponent, fraction] = [(bits >> 10) & 0x1f, bits & 0x3ff];
    const magnitude =
      exponent === 0 ? fraction * 2 ** -24 : exponent === 0x1f ? (fraction === 0 ? Infinity : NaN) : (fraction + 1024) * 2 ** (exponent - 25);
    return bits >> 15 === 1 ? -magnitude : magnitude;
  }

  f32(place) {
    return this.#view(place, 2).getFloat32(0);
  }

  f64(place) {
    return this.#view(place, 4).getFloat64(0);
  }

  bcd16(place) {
    return Number(this.#bcd(place, 1));
  }

  bcd32(place) {
    return Number(this.#bcd(place, 2));
  }

  bcd64(place) {
    return this.#bcd(place, 4);
  }

  bits(place) {
    const register = this.u16(place);
    return Array.from({ length: 16 }, (_, bit) => ((register >> bit) & 1) === 1);
  }

  field(place, first, last) {
    const bits = this.bits(place);
    let value = 0;
    for (let bit = Math.min(last, 15); bit >= Math.max(first, 0); bit -= 1) value = value * 2 + Number(bits[bit]);
    return value;
  }

  text(place, count) {
    const bytes = this.#window(place, count).flatMap((register) => this.#bytesOf(register));
    const end = bytes.indexOf(0);
    const letters = (end < 0 ? bytes : bytes.slice(0, end)).map((byte) => (byte < 0x80 ? byte : 0xfffd));
    return String.fromCharCode(...letters).trim();
  }

  #bytesOf(register) {
    const [high, low] = [register >> 8, register & 0xff];
    return this.#bytesSwapped ? [low, high] : [high, low];
  }

  /** The bytes of a value, the most significant first. */
  #view(place, count) {
    const words = this.#window(place, count);
    if (this.#lowWordFirst) words.reverse();
    return new DataView(Uint8Array.from(words.flatMap((register) => this.#bytesOf(register))).buffer);
  }

  #bcd(place, count) {
    const view = this.#view(place, count);
    let value = 0n;
    for (let nth = 0; nth < count * 4; nth += 1) {
      const byte = view.getUint8(nth >> 1);
      const digit = nth % 2 === 0 ? byte >> 4 : byte & 0xf;
      if (digit > 9) {
        const shown = `0x${digit.toString(16).toUpperCase()}`;
        throw new DecodeError("digit", place, `the value at place ${place} is not in BCD: digit ${nth} of it is ${shown}`);
      }
      value = value * 10n + BigInt(digit);
    }
    return value;
  }

  #window(place, count) {
    if (!(place >= 0) || place + count > this.#read.length) {
      const reason = `a value of ${count} registers at place ${place} does not fit into the ${this.#read.length} that were read`;
      throw new DecodeError("range", place, reason);
    }
    return this.#read.slice(place, place + count);
  }
}

export function linear({ scale = 1, offset = 0 } = {}) {
  return (number) => Number(number) * scale + offset;
}
