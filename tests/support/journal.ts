import type { ProgramOptions } from "./daemon.ts";
import type { Place } from "./place.ts";
import { testProgram } from "./programs.ts";

const ENTRY = testProgram(new URL("./journal_main.ts", import.meta.url));

/**
 * How to start a daemon that logs where nobody told it to, on a host whose journal, if any, is at {@link
 * journalSocket}.
 */
export function logsByItself(place: Place): Pick<ProgramOptions, "place" | "entry" | "env"> {
  return { place, entry: ENTRY, env: { LIBVIRT_LOG_OUTPUTS: "", JOURNAL_SOCKET: journalSocket(place) } };
}

/** Where the journal of a place listens. Nobody does unless the test makes a socket there. */
export function journalSocket(place: Place): string {
  return `${place.directory}/journal`;
}
