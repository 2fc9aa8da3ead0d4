/**
 * An error without a stack trace.
 *
 * Recording one costs about 3 us in this runtime, with `Error.stackTraceLimit = 0` too; a refusal is an
 * ordinary answer and must not cost more than the request. So Error's constructor is not run, but `instanceof
 * Error` holds.
 */
export abstract class LightError implements Error {
  abstract readonly name: string;
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }

  /** What other errors print first; there are no frames. */
  get stack(): string {
    return this.toString();
  }

  toString(): string {
    return `${this.name}: ${this.message}`;
  }
}

Object.setPrototypeOf(LightError.prototype, Error.prototype);
