import { PattooError } from "./errors.js";
import type { Checked, Shape } from "./is.js";

/** The name under which the datapoints reach pattoo, such as `LAVA_SCRIPT`. */
export function program(): string;

/** Seconds between the starts of two collections. */
export function pollingInterval(): number;

/**
 * When this collection began, in Unix milliseconds. It does not change during a collection: give it to every datapoint that
 * should have the same timestamp.
 */
export function collectionTime(): number;

/** What the operator set for this collector: an object, empty when nothing was set. */
export function settings(): Record<string, any>;

/**
 * The same, held against a shape. What is missing or of another kind throws a `SettingsError` that names it.
 *
 * ```js
 * const { device, unit } = settings({ device: is.text, unit: is.optional(is.integer(0, 255), 1) });
 * ```
 *
 * With `strict`, what is set and not in the shape throws as well: a name that was misspelt is no setting that is missing.
 */
export function settings<S extends Shape>(shape: S, options?: { strict?: boolean }): Checked<S>;

/** The settings are not what the collector wants. The message names the setting. */
export class SettingsError extends PattooError {}
