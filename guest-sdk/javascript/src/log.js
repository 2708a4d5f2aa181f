import * as host from "#host";

/** Several arguments become one line, as with `console.log`. */
function words(values) {
  return values.map(shown).join(" ");
}

function shown(value) {
  if (typeof value === "string") return value;
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  if (typeof value !== "object" || value === null) return typeof value === "bigint" ? `${value}n` : String(value);
  try {
    return JSON.stringify(value, (_, inner) => (typeof inner === "bigint" ? `${inner}n` : inner)) ?? String(value);
  } catch {
    return String(value);
  }
}

export function trace(...values) {
  host.log("trace", words(values));
}

export function debug(...values) {
  host.log("debug", words(values));
}

export function info(...values) {
  host.log("info", words(values));
}

export function warn(...values) {
  host.log("warn", words(values));
}

export function error(...values) {
  host.log("error", words(values));
}
