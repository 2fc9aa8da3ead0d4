import { awaitChild } from "../../chassis/children/awaited_child.ts";
import type { ChildManner } from "../../chassis/children/child_run.ts";
import type { ChildCommand } from "../../chassis/children/child_start.ts";
import type { EventLoop } from "../../chassis/event/event_loop.ts";
import { ENOENT } from "../../os/errno.ts";
import { DescriptorLedger } from "../../os/ledger.ts";
import type { Sys } from "../../os/sys.ts";
import { killTree } from "./program_tree.ts";

/** Most bytes that are kept of each of a program's outputs. */
const MAX_OUTPUT = 4 << 20;

/** A program to be run. */
export interface ProgramRequest {
  /** Name or path, and arguments. A name is looked for in the usual system directories. */
  readonly argv: readonly string[];
  /** Milliseconds after which it is killed, and up to which it is waited for; undefined: never. */
  readonly limit?: number;
  /**
   * "undo": it takes back what was begun, and so runs to its end also when nobody wants the result any more.
   * It is killed all the same when the daemon is gone.
   */
  readonly purpose?: "undo";
  /** Descriptors of the program from 3 on. */
  readonly descriptors?: readonly number[];
  /** What it may use; undefined: as much as the helper. */
  readonly limits?: ProgramLimits;
  /** Told of what it writes to its standard output, as it comes. */
  readonly output?: (text: string) => void;
  /** How far it is, beside what the kernel counts of it: two texts differ if it has got further. */
  readonly activity?: () => string;
  /** Called when it has written anything. */
  readonly heard?: () => void;
}

/** What a program may use that reads what others have written. */
export interface ProgramLimits {
  /** Bytes of its address space. */
  readonly memory: number;
  /** Seconds of CPU time, after which the kernel ends it. */
  readonly processor: number;
}

/** How a program ended. */
export type ProgramEnd =
  | { readonly kind: "exited"; readonly code: number; readonly stdout: string; readonly stderr: string }
  | { readonly kind: "killed"; readonly signal: number; readonly stderr: string }
  /** There is no such program. */
  | { readonly kind: "missing"; readonly program: string }
  /** It could not be started, ran too long or wrote too much. */
  | { readonly kind: "failed"; readonly reason: string };

/** Where programs are looked for; the daemon's own PATH is not asked, which somebody may have changed. */
const DIRECTORIES = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** Programs speak English and are not told of the daemon's sockets. */
const ENVIRONMENT = ["LC_ALL=C", "LANG=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/"];

/** Path of a program; undefined where it is not installed. */
export function findProgram(sys: Pick<Sys, "access">, name: string): string | undefined {
  if (name.includes("/")) return sys.access(name, 1) === 0 ? name : undefined;
  return DIRECTORIES.map((directory) => `${directory}/${name}`).find((path) => sys.access(path, 1) === 0);
}

/** Sets limits and becomes the program; of util-linux, as mount(8) is. */
const LIMITER = "prlimit";

function limitOptions({ memory, processor }: ProgramLimits): string[] {
  return [`--as=${memory}`, `--cpu=${processor}`, "--core=0", "--"];
}

/**
 * Runs a program to its end while the loop goes on with what else it watches. For a helper process: the
 * caller waits.
 *
 * @param between called whenever the loop has turned; when it throws the program is killed, and the error
 *   goes on to the caller once that is dead
 */
export function runProgram(
  sys: Sys,
  loop: EventLoop,
  { argv, limit, descriptors = [], limits, output = () => {}, heard = () => {} }: ProgramRequest,
  between: () => void,
): ProgramEnd {
  const [name = ""] = argv;
  const path = findProgram(sys, name);
  if (path === undefined) return { kind: "missing", program: name };
  const limiter = limits === undefined ? path : findProgram(sys, LIMITER);
  if (limiter === undefined) return { kind: "missing", program: LIMITER };
  const program = [path, ...argv.slice(1)];
  const command: ChildCommand = {
    path: limiter,
    argv: limits === undefined ? program : [limiter, ...limitOptions(limits), ...program],
    env: ENVIRONMENT,
    descriptors,
  };
  const manner: ChildManner = {
    limit,
    most: MAX_OUTPUT,
    outputs: "apart",
    // It stays in the helper's group, so that whoever has to kill the helper kills it too.
    kill: (child) => killTree(sys, child),
    output,
    heard,
  };
  const parts = { sys, loop, ledger: new DescriptorLedger(sys) };
  const end = awaitChild(parts, command, manner, between);
  switch (end.kind) {
    case "exited":
      return end;
    case "killed":
      return { kind: "killed", signal: end.signal, stderr: end.stderr };
    case "unstarted":
      return end.error.errno === ENOENT
        ? { kind: "missing", program: name }
        : { kind: "failed", reason: end.error.message };
    case "failed":
      return { kind: "failed", reason: `${path}: ${end.reason}` };
  }
}
