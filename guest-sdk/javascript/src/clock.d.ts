/**
 * The host's wall clock in Unix milliseconds, as `Date.now()`. It may jump when the operator sets it. For the datapoints of one
 * collection prefer `collectionTime`.
 */
export function now(): number;

/** Milliseconds since this collection began, with fractions. It never goes back. */
export function monotonic(): number;
