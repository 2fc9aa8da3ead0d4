/** What sets a part of the log: a key of the configuration file, a variable, or nobody. */
export type LogSource =
  | { readonly kind: "key"; readonly name: string }
  | { readonly kind: "variable"; readonly name: string }
  | { readonly kind: "default" };

/**
 * A log level, filter list or output list is not valid. Nothing has been changed.
 *
 * The message is libvirt's own text without a prefix, e.g. `Malformed format for filter 'x'`: the admin
 * program sends it as an invalid argument (code 8).
 */
export class LogConfigError extends Error {
  override readonly name = "LogConfigError";
  /** Where the text is from, if that is known. */
  readonly source: LogSource | undefined;

  constructor(message: string, source?: LogSource) {
    super(message);
    this.source = source;
  }
}
