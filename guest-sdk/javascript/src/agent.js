import * as host from "#host";
import { PattooError } from "./errors.js";
import { Misfit, check } from "./is.js";

export { collectionTime, pollingInterval, program } from "#host";

export class SettingsError extends PattooError {}

export function settings(shape, { strict = false } = {}) {
  const given = JSON.parse(host.settings());
  if (shape === undefined) return given;
  let checked;
  try {
    checked = check(given, shape);
  } catch (error) {
    if (!(error instanceof Misfit)) throw error;
    throw new SettingsError(error.at === "" ? `what is set ${error.text}` : `the setting \`${error.at}\` ${error.text}`);
  }
  const unknown = strict ? Object.keys(given).find((name) => !Object.hasOwn(shape, name)) : undefined;
  if (unknown !== undefined) {
    throw new SettingsError(`there is no setting \`${unknown}\`; there are: ${Object.keys(shape).join(", ")}`);
  }
  return checked;
}
