import { LightError } from "./light_error.ts";

/** A value cannot be read from, or written as, XDR: the input is malformed or over a limit. */
export class XdrError extends LightError {
  override readonly name = "XdrError";
}
