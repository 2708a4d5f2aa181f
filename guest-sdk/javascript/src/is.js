// Checks of values out of JSON. Each is a function of the value and the name of its place, and gives back the value.

export class Misfit extends Error {
  constructor(at, text) {
    super(at === "" ? `it ${text}` : `\`${at}\` ${text}`);
    this.name = "Misfit";
    this.at = at;
    this.text = text;
  }
}

/** Holds a value against a shape: a check, or an object of shapes. */
export function check(value, shape, at = "") {
  if (typeof shape === "function") return shape(value, at);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(value, at, "an object");
  const checked = {};
  for (const [key, inner] of Object.entries(shape)) {
    checked[key] = check(Object.hasOwn(value, key) ? value[key] : undefined, inner, at === "" ? key : `${at}.${key}`);
  }
  return checked;
}

function wrong(value, at, wanted) {
  if (value === undefined) return new Misfit(at, "is missing");
  const shown = JSON.stringify(value) ?? String(value);
  return new Misfit(at, `is ${shown.length > 60 ? `${shown.slice(0, 57)}...` : shown}, and must be ${wanted}`);
}

export function text(value, at) {
  if (typeof value !== "string") throw wrong(value, at, "text");
  return value;
}

export function number(value, at) {
  if (typeof value !== "number") throw wrong(value, at, "a number");
  return value;
}

export function boolean(value, at) {
  if (typeof value !== "boolean") throw wrong(value, at, "true or false");
  return value;
}

export function integer(least = Number.MIN_SAFE_INTEGER, most = Number.MAX_SAFE_INTEGER) {
  const bounded = least !== Number.MIN_SAFE_INTEGER || most !== Number.MAX_SAFE_INTEGER;
  const wanted = bounded ? `a whole number between ${least} and ${most}` : "a whole number";
  return (value, at) => {
    if (!Number.isSafeInteger(value) || value < least || value > most) throw wrong(value, at, wanted);
    return value;
  };
}

export function oneOf(...values) {
  const wanted = `one of ${values.map((value) => `\`${value}\``).join(", ")}`;
  return (value, at) => {
    if (!values.includes(value)) throw wrong(value, at, wanted);
    return value;
  };
}

export function listOf(shape) {
  return (value, at) => {
    if (!Array.isArray(value)) throw wrong(value, at, "a list");
    return value.map((element, place) => check(element, shape, `${at}[${place}]`));
  };
}

export function optional(shape, otherwise) {
  return (value, at) => (value === undefined || value === null ? otherwise : check(value, shape, at));
}

export function anything(value) {
  return value;
}
