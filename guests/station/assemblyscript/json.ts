// A small reader of JSON (RFC 8259) for settings and documents. Copy it beside your collector.

export enum Kind { Null, Boolean, Number, String, Array, Object }

export class Json {
  /** Of a number: as it was written. Of a string: what it says. */
  text: string = "";
  boolean: bool = false;
  items: Json[] = [];
  members: Map<string, Json> = new Map();

  constructor(public kind: Kind) {}

  /** Reads a whole text, without a byte order mark before it; null if it is not JSON. */
  static parse(text: string): Json | null {
    const reader = new Reader(text);
    if (text.startsWith("\uFEFF")) reader.place = 1;
    const value = reader.value(0);
    reader.skip();
    return reader.place == text.length ? value : null;
  }

  get(key: string): Json | null {
    return this.members.has(key) ? this.members.get(key) : null;
  }

  /** Whether it is a number that is written without fraction and exponent. */
  get isWhole(): bool {
    return this.kind == Kind.Number && !this.text.includes(".") && !this.text.includes("e") && !this.text.includes("E");
  }
}

const DEEPEST = 100;

class Reader {
  place: i32 = 0;
  constructor(private text: string) {}

  private get next(): i32 {
    return this.place < this.text.length ? this.text.charCodeAt(this.place) : -1;
  }

  skip(): void {
    while (this.next == 0x20 || this.next == 0x09 || this.next == 0x0A || this.next == 0x0D) this.place++;
  }

  private take(text: string): bool {
    if (!this.text.startsWith(text, this.place)) return false;
    this.place += text.length;
    return true;
  }

  value(depth: i32): Json | null {
    this.skip();
    if (depth > DEEPEST) return null;
    if (this.take("{")) return this.object(depth);
    if (this.take("[")) return this.array(depth);
    if (this.next == 0x22) {
      const text = this.string();
      if (text === null) return null;
      const string = new Json(Kind.String);
      string.text = text;
      return string;
    }
    if (this.take("null")) return new Json(Kind.Null);
    if (this.take("false")) return new Json(Kind.Boolean);
    if (this.take("true")) {
      const boolean = new Json(Kind.Boolean);
      boolean.boolean = true;
      return boolean;
    }
    return this.number();
  }

  private object(depth: i32): Json | null {
    const object = new Json(Kind.Object);
    this.skip();
    if (this.take("}")) return object;
    do {
      this.skip();
      const key = this.string();
      this.skip();
      if (key === null || !this.take(":")) return null;
      const value = this.value(depth + 1);
      if (value === null) return null;
      object.members.set(key, value);
      this.skip();
    } while (this.take(","));
    return this.take("}") ? object : null;
  }

  private array(depth: i32): Json | null {
    const array = new Json(Kind.Array);
    this.skip();
    if (this.take("]")) return array;
    do {
      const value = this.value(depth + 1);
      if (value === null) return null;
      array.items.push(value);
      this.skip();
    } while (this.take(","));
    return this.take("]") ? array : null;
  }

  private string(): string | null {
    if (!this.take("\"")) return null;
    let text = "";
    let start = this.place;
    while (this.next >= 0x20) {
      if (this.next == 0x22) {
        text += this.text.substring(start, this.place++);
        return text;
      }
      if (this.next != 0x5C) {
        this.place++;
        continue;
      }
      text += this.text.substring(start, this.place++);
      const escaped = this.escaped();
      if (escaped < 0) return null;
      text += String.fromCharCode(escaped);
      start = this.place;
    }
    return null;
  }

  /** What follows a backslash: a unit of UTF-16, so that a pair of them makes one character by itself. */
  private escaped(): i32 {
    const letter = this.next;
    this.place++;
    switch (letter) {
      case 0x22: case 0x5C: case 0x2F: return letter;
      case 0x62: return 0x08;
      case 0x66: return 0x0C;
      case 0x6E: return 0x0A;
      case 0x72: return 0x0D;
      case 0x74: return 0x09;
      case 0x75: break;
      default: return -1;
    }
    let unit = 0;
    for (let i = 0; i < 4; i++) {
      const digit = "0123456789abcdef".indexOf(String.fromCharCode(this.next | 0x20));
      if (this.next < 0x30 || digit < 0) return -1;
      unit = unit << 4 | digit;
      this.place++;
    }
    return unit;
  }

  private digits(): bool {
    const start = this.place;
    while (this.next >= 0x30 && this.next <= 0x39) this.place++;
    return this.place > start;
  }

  private number(): Json | null {
    const start = this.place;
    this.take("-");
    const zero = this.next == 0x30;
    const first = this.place;
    if (!this.digits() || (zero && this.place > first + 1)) return null;
    if (this.take(".") && !this.digits()) return null;
    if (this.take("e") || this.take("E")) {
      if (!this.take("+")) this.take("-");
      if (!this.digits()) return null;
    }
    const number = new Json(Kind.Number);
    number.text = this.text.substring(start, this.place);
    return number;
  }
}
