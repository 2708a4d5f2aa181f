import * as host from "#host";
import { PattooError } from "./errors.js";
import { Misfit, check } from "./is.js";

export { collectionTime, pollingInterval, program } from "#host";

export class SettingsError extends PattooError {}

export function settings(shape) {
  const given = JSON.parse(host.settings());
  if (shape === undefined) return given;
  try {
    return check(given, shape);
  } catch (error) {
    if (!(error instanceof Misfit)) throw error;
    throw new SettingsError(error.at === "" ? `what is set ${error.text}` : `the setting \`${error.at}\` ${error.text}`);
  }
}
