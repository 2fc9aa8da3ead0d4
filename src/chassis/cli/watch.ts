import { S_IFMT } from "../../os/constants.ts";
import { emptyStatus } from "../../os/sys.ts";
import { type CommandContext, CommandExit } from "./command.ts";

/** Between two looks, in ms. */
const INTERVAL = 1000;
const STANDARD_OUTPUT = 1;
const S_IFIFO = 0o010000;

/**
 * Writes what is new, once a second, until the process is ended or nobody reads any more.
 *
 * @param news what has changed since it was last called, "" for nothing; its parameter is the time now, Unix
 *   milliseconds
 */
export function watch({ sys, out, now }: CommandContext, news: (at: number) => string): number {
  const status = emptyStatus();
  // A pipe whose reader has gone is reported by poll(2) even where nothing is written for hours.
  const pipe = sys.fstat(STANDARD_OUTPUT, status) === 0 && (status.mode & S_IFMT) === S_IFIFO;
  for (;;) {
    const text = news(now());
    if (text !== "") out.write(text);
    if (sys.pollReadable(pipe ? STANDARD_OUTPUT : -1, INTERVAL) > 0) return CommandExit.OK;
  }
}
