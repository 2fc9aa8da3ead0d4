/** The command line cannot be understood. The message is one line that names the offending word. */
export class UsageError extends Error {
  /** Always `UsageError`. */
  override readonly name = "UsageError";
}
