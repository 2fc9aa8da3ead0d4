import type { FileSys } from "../../os/sys.ts";
import { decodeText, encodeText } from "../../os/text.ts";

const STANDARD_INPUT = 0;
const STANDARD_ERROR = 2;
/** Longer than any answer. */
const LINE = 256;

/** What came of a question. */
export type Confirmation =
  | "yes"
  /** Everything but yes. */
  | "no"
  /** There is nobody to be asked. */
  | "nobody";

/**
 * Asks whoever sits at the terminal. The question goes to standard error, so that the output of a command
 * stays what it is.
 *
 * @param isTerminal whether standard input is one; without one nobody is asked
 */
export function confirm(
  sys: Pick<FileSys, "read" | "write">,
  isTerminal: boolean,
  question: string,
): Confirmation {
  if (!isTerminal) return "nobody";
  sys.write(STANDARD_ERROR, encodeText(question));
  const line = new Uint8Array(LINE);
  // A terminal gives a line at a time.
  const length = sys.read(STANDARD_INPUT, line);
  return length > 0 && decodeText(line, 0, length).trim() === "yes" ? "yes" : "no";
}
