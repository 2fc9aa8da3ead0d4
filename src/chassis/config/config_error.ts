/**
 * A setting cannot be used: the configuration file is malformed, a value has the wrong type or is out of
 * range, or an environment variable has a value that means nothing.
 *
 * The message is one line, `PLACE: expected X, got Y`.
 */
export class ConfigError extends Error {
  /** Always `ConfigError`. */
  override readonly name = "ConfigError";
  /** Where: `FILE:LINE`, or the name of an environment variable. */
  readonly place: string;
  /** What would have been right. */
  readonly expected: string;
  /** What was there instead. */
  readonly got: string;

  /**
   * Makes the message of its parts.
   *
   * @param place `FILE:LINE`, or the name of an environment variable
   * @param expected what would have been right
   * @param got what was there instead, quoted already
   */
  constructor(place: string, expected: string, got: string) {
    super(`${place}: expected ${expected}, got ${got}`);
    this.place = place;
    this.expected = expected;
    this.got = got;
  }
}
