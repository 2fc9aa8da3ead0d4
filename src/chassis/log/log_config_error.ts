/**
 * A log level, filter list or output list is not valid. Nothing has been changed.
 *
 * The message is libvirt's own text without a prefix, e.g. `Malformed format for filter 'x'`: the admin
 * program sends it as an invalid argument (code 8).
 */
export class LogConfigError extends Error {
  override readonly name = "LogConfigError";
}
