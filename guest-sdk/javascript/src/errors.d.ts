/** What this package throws. Its message is a sentence for the operator, so that it can simply be let through. */
export class PattooError extends Error {}
