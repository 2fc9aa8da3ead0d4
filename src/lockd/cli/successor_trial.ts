import { askProgramNow } from "../../chassis/children/asked_program.ts";
import { startLoop } from "../../chassis/start/start.ts";
import { readList } from "../../os/read_file.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";

/** A daemon that starts ends by itself after a second without clients. */
const LIMIT_MS = 20_000;
/** Exit code of the script when there is no private place: no daemon has it. */
const NO_PLACE = 99;

/**
 * Runs a daemon where its sockets and its PID file are its own: in a mount namespace with an empty directory
 * in the place of theirs.
 */
const SCRIPT = `
unshare --mount true 2>/dev/null || exit ${NO_PLACE}
exec unshare --mount sh -c 'mount -t tmpfs -o mode=755 trial /run/libvirt || exit ${NO_PLACE}; exec "$@"' sh "$@"
`;

/** What came of it. */
export type Trial =
  | { readonly kind: "starts" }
  | { readonly kind: "fails"; readonly reason: string }
  /** It did not end in time, as when its configuration is on storage that does not answer. */
  | { readonly kind: "hangs"; readonly reason: string }
  /** The host allows no private place, as some containers do. */
  | { readonly kind: "untried" };

/**
 * Tries whether libvirt's daemon starts with the configuration as it is now. It reads its configuration and
 * opens its logs as it would at a hand-over, touches nothing of the daemon that runs, and ends at once. Root
 * only.
 *
 * @param program libvirt's daemon
 * @param configuration the file that the running daemon uses; undefined for the default one
 * @param daemon process of that daemon, whose environment the other one gets
 */
export function trySuccessor(
  sys: Sys,
  program: string,
  configuration: string | undefined,
  daemon: number,
): Trial {
  const { loop, ledger } = startLoop(sys);
  const file = configuration !== undefined && sys.access(configuration, 0) === 0 ? ["-f", configuration] : [];
  const args = ["sh", "-c", SCRIPT, "sh", program, ...file, "-p", "/run/libvirt/trial.pid", "-t", "1"];
  const env = environment(sys, daemon);
  const result = askProgramNow({ sys, loop, ledger, env, limit: LIMIT_MS }, "/bin/sh", args);
  if (result.kind === "failed") return { kind: "hangs", reason: result.reason };
  if (result.code === 0) return { kind: "starts" };
  if (result.code === NO_PLACE) return { kind: "untried" };
  return { kind: "fails", reason: complaint(result.output) ?? `it ended with code ${result.code}` };
}

/** What decides on the log, as the daemon has it. */
function environment(sys: Sys, daemon: number): string[] {
  const PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  try {
    const entries = readList(sys, `/proc/${daemon}/environ`);
    return [PATH, ...entries.filter((entry) => entry.startsWith("LIBVIRT_"))];
  } catch (error) {
    if (error instanceof SystemError) return [PATH];
    throw error;
  }
}

/** The last error that libvirt's daemon has printed, without time, process and place in its code. */
export function complaint(output: string): string | undefined {
  const lines = output.split("\n").filter((line) => line.trim() !== "");
  const error = lines.findLast((line) => / error : /.test(line)) ?? lines.at(-1);
  return error?.replace(/^.* error : (?:\w+:\d+ : )?/, "").trim();
}
