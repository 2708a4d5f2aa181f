/** A device that a test granted. What is said of registers and faults is about the unit that was named last; unit 1 if none was. */
export class FakeDevice {
  #units = new Map();
  #current = 1;

  constructor(name) {
    this.name = name;
  }

  unit(number) {
    if (!this.#units.has(number)) this.#units.set(number, { words: new Map(), exceptions: new Map(), failure: undefined });
    this.#current = number;
    return this;
  }

  coils(address, bits) {
    return this.#words("coils", address, bits);
  }

  discreteInputs(address, bits) {
    return this.#words("discrete-inputs", address, bits);
  }

  holdingRegisters(address, registers) {
    return this.#words("holding-registers", address, registers);
  }

  inputRegisters(address, registers) {
    return this.#words("input-registers", address, registers);
  }

  exception(table, address, code) {
    this.#unit().exceptions.set(`${table} ${address}`, code);
    return this;
  }

  fail(kind, reason) {
    this.#unit().failure = { kind, reason };
    return this;
  }

  granted() {
    return { name: this.name, units: this.#units.size === 0 ? [1] : [...this.#units.keys()] };
  }

  /** One read, as the runtime and the device would answer it. */
  read({ unit: wanted, table, address, count }) {
    if (count === 0 || address + count > 0x10000) {
      return { kind: "invalid", reason: "a read is of 1 or more, and ends at address 65535" };
    }
    const { units } = this.granted();
    const number = wanted ?? units[0];
    if (!units.includes(number)) return { kind: "denied", reason: `denied: unit ${number} of ${this.name} is not granted` };
    const unit = this.#units.get(number);
    if (unit?.failure !== undefined) return unit.failure;
    const words = [];
    for (let place = address; place < address + count; place += 1) {
      const name = `${table} ${place}`;
      // Beyond its registers a device answers exception 2.
      if (unit === undefined || unit.exceptions.has(name) || !unit.words.has(name)) {
        return { kind: "exception", code: unit?.exceptions.get(name) ?? 2 };
      }
      words.push(unit.words.get(name));
    }
    return words;
  }

  #words(table, address, words) {
    [...words].forEach((word, nth) => {
      const bit = table === "coils" || table === "discrete-inputs";
      if (bit ? typeof word !== "boolean" : !Number.isInteger(word) || word < 0 || word > 0xffff) {
        throw new RangeError(`${word} is not what ${table} hold`);
      }
      this.#unit().words.set(`${table} ${address + nth}`, word);
    });
    return this;
  }

  #unit() {
    this.unit(this.#current);
    return this.#units.get(this.#current);
  }
}
