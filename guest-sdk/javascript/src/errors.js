/** What this package throws. Its message is a sentence for the operator, so that it can simply be let through. */
export class PattooError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = new.target.name;
  }
}
