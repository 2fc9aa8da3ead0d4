import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import process from "node:process";
import { DAEMON_SIGNALS } from "../src/chassis/start/signals.ts";
import { bundle } from "./bundle.ts";
import { type Contents, contentsNamed } from "./contents.ts";
import { FAMILY, listedDaemons } from "./daemons.ts";
import { runTool, ToolError } from "./tool.ts";

/** What V8 is told: see docs/performance.md. */
const V8_FLAGS = "--max-semi-space-size=2,--optimize-for-size,--no-enable-lazy-source-positions";
/** Behind the permissions. */
const RUN_FLAGS = ["--no-prompt", `--v8-flags=${V8_FLAGS}`];

/** How to build a program. */
export interface ProgramRequest {
  /** Name of the program, or FAMILY for all daemons in one. */
  readonly contents: string;
  /** The executable to write. */
  readonly output: string;
  /** Where a script finds the Deno that it runs with, on the host that it is for. */
  readonly runtime: string;
  /** `best`: one self-contained file where the runtime for `deno compile` can be had, else a script. */
  readonly form: "best" | "script";
  /** See bundle(). */
  readonly modules: string | undefined;
}

/** What was built. */
export type ProgramForm = "self-contained" | "script";

/**
 * Builds a program. That of the family is self-contained or nothing: as a script each of its daemons would
 * start slower and take more memory than one of its own, and nothing would be saved.
 *
 * @throws ToolError, Error
 */
export function buildProgram({ contents, output, runtime, form, modules }: ProgramRequest): ProgramForm {
  const bundled = bundle(contents, modules);
  mkdirSync(dirname(output), { recursive: true });
  const [first = contents] = listedDaemons().map(({ name }) => name);
  const arguments_ = contents === FAMILY ? [first, "--version"] : ["--version"];
  const program = contentsNamed(contents === FAMILY ? first : contents);
  if (form === "best" && compile(program, bundled, output, arguments_)) return "self-contained";
  if (contents === FAMILY) {
    throw new Error(`Build ${output}: all daemons in one file need the runtime for deno compile (denort)`);
  }
  writeScript(program, bundled, output, runtime);
  return "script";
}

/** One self-contained file. False where the runtime to embed cannot be had, or what came out does not run. */
function compile(
  { permissions }: Contents,
  bundled: string,
  output: string,
  version: readonly string[],
): boolean {
  const unfinished = `${output}.new`;
  const flags = [...permissions, ...RUN_FLAGS];
  try {
    runTool(process.execPath, ["compile", "--no-config", ...flags, "--output", unfinished, bundled]);
    // A DENORT_BIN that is no denort embeds well, but the result is not this program.
    if (!/^[\w-]+ \(deno-\w+\) /.test(runTool(unfinished, version))) return false;
    renameSync(unfinished, output);
    return true;
  } catch (error) {
    if (error instanceof ToolError) return false;
    throw error;
  } finally {
    rmSync(unfinished, { force: true });
  }
}

/** A shell script that is also the JavaScript program: the shell leaves it on its second line. */
function writeScript(program: Contents, bundled: string, output: string, runtime: string): void {
  writeFileSync(
    `${output}.new`,
    `#!/bin/sh\n":" //; ${shellLine(program, runtime)}\n${readFileSync(bundled, "utf8")}`,
  );
  chmodSync(`${output}.new`, 0o755);
  // Replaced in one step: a running daemon may execute the old one at any moment.
  renameSync(`${output}.new`, output);
}

/**
 * What the shell does.
 *
 * @throws Error when the runtime's path cannot stand in it
 */
export function shellLine({ name, start, permissions }: Contents, runtime: string): string {
  if (runtime.includes("'")) throw new Error(`Name the runtime: ${runtime} must not contain a quote`);
  const steps = [
    // Without the runtime nothing of this program can run. A service manager starts it again at once and for
    // ever, which keeps the locks that it stores; the pause keeps the journal readable.
    `[ -x '${runtime}' ] || { echo "${name}: error: Run ${runtime}: it is not there, and this program cannot run without it; ` +
    `install the package again, or build the program on this host" >&2; [ -z "$INVOCATION_ID" ] || sleep 1; exit 1; }`,
    // The runtime does not start in a directory that was removed. PWD is empty or leads elsewhere then.
    `[ "$PWD" -ef . ] || cd /`,
    WITHOUT_RUNTIMES_VARIABLES,
    ...(start === "daemon" ? daemonSteps(name) : CONFINED_STEPS),
    `exec $b '${runtime}' run ${
      [...permissions, ...RUN_FLAGS].join(" ")
    } --no-config --no-lock --no-remote --no-npm --ext=js "$0" "$@"`,
  ];
  return steps.join("; ");
}

/**
 * Whoever sets a variable of the runtime's for something else on the host, or in the service's environment
 * file, does not mean this program: with some it does not start, hangs, or listens for a debugger. What an
 * image that hands over many locks gives the next one is let through: see src/lockd/handover/heap_room.ts.
 */
const WITHOUT_RUNTIMES_VARIABLES = "set -f; for v in $(export -p); do v=${v%%=*}; " +
  "case $v in *[!A-Z0-9_]* | DENO_DIR) ;; " +
  "DENO_V8_FLAGS) case $DENO_V8_FLAGS in " +
  "--initial-old-space-size=[1-9][0-9] | --initial-old-space-size=[1-9][0-9][0-9]) ;; *) unset $v;; esac;; " +
  "DENO_?* | NODE_?* | OTEL_?*) unset $v;; esac; done; set +f";

/** Signals, and the place for compiled code, of a daemon and its commands. */
function daemonSteps(name: string): string[] {
  return [
    // Ignored until they are blocked: the runtime would take SIGUSR1, and both would end the process. Where
    // env can block signals (coreutils 8.31) the program need not start itself once more to have them blocked
    // in every thread; a command begins with a letter.
    "trap '' USR1 HUP",
    `b=; if env --block-signal=USR1 >/dev/null 2>&1; then case "$1" in ` +
    `[a-z]*) b='env --block-signal=USR1';; *) b='env --block-signal=${DAEMON_SIGNALS}';; esac; fi`,
    // The runtime keeps compiled code below the home directory, and does not start where there is none, as in
    // a service. Root's commands use the service's place: what is there shortens each start by 10 ms, and it
    // is written when a command ends, as when a package asks for the version. A daemon never comes to that.
    `[ -n "$DENO_DIR" ] || { [ -n "$HOME" ] && [ ! -w /var/cache ]; } || export DENO_DIR=/var/cache/${name}`,
  ];
}

/** The same of a program that may write nothing and speaks to nobody but whom it is for. */
const CONFINED_STEPS: readonly string[] = [
  // The runtime would open a debugger's port.
  "b=; if env --block-signal=USR1 >/dev/null 2>&1; then b='env --block-signal=USR1'; fi",
  "export DENO_DIR=/dev/null DENO_NO_UPDATE_CHECK=1",
];
