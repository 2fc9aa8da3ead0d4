import { askProgramNow } from "../../chassis/children/asked_program.ts";
import { startLoop } from "../../chassis/start/start.ts";
import { readList } from "../../os/read_file.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { trySuccessor } from "./successor_trial.ts";

/** Our own program may have to be loaded from a slow disk. */
const LIMIT_MS = 20_000;
/** Finds a program as libvirt's daemon finds what it executes: execvp(3), in its own directory. */
const ENV = "/usr/bin/env";

/**
 * Why libvirt's daemon would end, with every lock, if it was told to execute anew: it executes whatever is in
 * its place, and looks at nothing before. Undefined when it would not.
 *
 * @param pid its process
 * @param trial tries libvirt's program with its configuration
 */
export function faultOfSuccessor(
  sys: Sys,
  pid: number,
  trial: typeof trySuccessor = trySuccessor,
): string | undefined {
  const [name = "", ...args] = listOf(sys, `/proc/${pid}/cmdline`);
  const env = listOf(sys, `/proc/${pid}/environ`);
  const { loop, ledger } = startLoop(sys);
  const argv = [ENV, `--chdir=/proc/${pid}/cwd`, name, "--version"];
  const result = askProgramNow({ sys, loop, ledger, env, limit: LIMIT_MS }, ENV, argv);
  if (result.kind === "failed") return `${name} does not run: ${result.reason}`;
  const said = result.output.trim().split("\n")[0] ?? "";
  if (result.code !== 0) return `${name} does not run, it ended with code ${result.code}: ${said}`;
  if (/^\S*virtlockd \(deno-virtlockd\) /.test(said)) return undefined;
  if (!/^\S*virtlockd \(libvirt\) /.test(said)) return `${name} is no virtlockd: --version says '${said}'`;
  const program = name.startsWith("/") ? name : `/proc/${pid}/exe`;
  const tried = trial(sys, program, configurationIn(args), pid);
  return tried.kind === "fails" || tried.kind === "hangs"
    ? `${name} does not start with its configuration: ${tried.reason}`
    : undefined;
}

/** The configuration file that a command line of libvirt's daemon names. */
function configurationIn(args: readonly string[]): string | undefined {
  const at = args.findIndex((argument) => argument === "-f" || argument === "--config");
  if (at >= 0) return args[at + 1];
  return args.find((argument) => argument.startsWith("--config="))?.slice("--config=".length);
}

/** A NUL-separated list of a process; empty when that has ended. */
function listOf(sys: Sys, path: string): string[] {
  try {
    return readList(sys, path).filter((entry) => entry !== "");
  } catch (error) {
    if (error instanceof SystemError) return [];
    throw error;
  }
}
