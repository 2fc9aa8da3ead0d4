import { S_IFMT } from "../../os/constants.ts";
import { emptyStatus } from "../../os/sys.ts";
import { type CommandContext, CommandExit } from "./command.ts";

/** Between two looks, in ms. */
const INTERVAL = 1000;
const STANDARD_OUTPUT = 1;
const S_IFIFO = 0o010000;
/** Cursor home, clear to the end of the screen. */
const CLEAR = "\x1b[H\x1b[2J";

/**
 * Shows a text again whenever it has changed, until the process is ended or nobody reads any more: on a
 * terminal in place, else one after the other.
 *
 * @param heading written before each text; its parameter is the time now, Unix milliseconds
 */
export function watch(
  { sys, out, terminal, now }: CommandContext,
  heading: (at: number) => string,
  show: () => string,
): number {
  const status = emptyStatus();
  // A pipe whose reader has gone is reported by poll(2) even where nothing is written for hours.
  const pipe = sys.fstat(STANDARD_OUTPUT, status) === 0 && (status.mode & S_IFMT) === S_IFIFO;
  let shown: string | undefined;
  for (;;) {
    const text = show();
    if (text !== shown) out.write((terminal ? CLEAR : "") + heading(now()) + text);
    shown = text;
    if (sys.pollReadable(pipe ? STANDARD_OUTPUT : -1, INTERVAL) > 0) return CommandExit.OK;
  }
}
