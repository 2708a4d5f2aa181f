import * as host from "#host";
import { PattooError } from "./errors.js";

/** Calls `collect`; gives the text for the operator if it failed, and what was thrown. Both come later if `collect` is asynchronous. */
export function run(collect) {
  const good = { error: undefined, thrown: undefined };
  try {
    const returned = collect();
    return typeof returned?.then === "function" ? returned.then(() => good, bad) : good;
  } catch (thrown) {
    return bad(thrown);
  }
}

function bad(thrown) {
  for (const line of String(thrown?.stack ?? "").split("\n")) if (line !== "") host.log("debug", line);
  return { error: words(thrown), thrown };
}

/** The message alone where it was written for the operator, else also what it is; then what caused it. */
function words(thrown) {
  if (!(thrown instanceof Error)) return String(thrown);
  const said = thrown instanceof PattooError || thrown.name === "Error" ? thrown.message : `${thrown.name}: ${thrown.message}`;
  return thrown.cause === undefined ? said : `${said}: ${words(thrown.cause)}`;
}
