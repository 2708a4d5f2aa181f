/**
 * Words for the operator: one line each in the agent's log, with the name of the program. Arguments become one line as with
 * `console.log`, and `console` itself comes here, too.
 *
 * A message is cut at 4 096 bytes, and of one collection's lines the first 1 000 are kept (both unless the operator set it
 * otherwise). An error that ends the collection is logged anyway: let it through, and do not log it as well.
 */

/** Every step, for the author. Operators see `info` and above unless they ask for more. */
export function trace(...values: unknown[]): void;
/** What helps to find a fault. */
export function debug(...values: unknown[]): void;
/** What an operator may want to know. */
export function info(...values: unknown[]): void;
/** Something is wrong, and the collection goes on. */
export function warn(...values: unknown[]): void;
/** Something was lost. */
export function error(...values: unknown[]): void;
