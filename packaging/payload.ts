/**
 * The program that a package ships: one self-contained file, or a script together with the runtime that it
 * execs.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";

/** The top of the source tree. */
export const ROOT: string = resolve(import.meta.dirname ?? ".", "..");

/** Where a packaged script finds its runtime, as `packaging/build.ts --runtime` writes it into the script. */
export const INSTALLED_RUNTIME = "/usr/lib/virtlockd/deno";

/** What goes into a package. */
export interface Payload {
  /** The program's file. */
  readonly executable: string;
  /** The Deno runtime's file when the program is a script that needs one. */
  readonly runtime: string | undefined;
}

/** What a packaging script was asked for on its command line. */
export interface PackageRequest {
  readonly payload: Payload;
  /** Directory for the finished package. */
  readonly output: string;
  /** Empty directory to assemble the package in. */
  readonly work: string;
}

/**
 * Reads a packaging script's command line and makes the directories that it needs.
 *
 * `--executable FILE` names a program that has been built for {@linkcode INSTALLED_RUNTIME}; without it one
 * is built. `--runtime FILE` names the runtime to ship with a script, by default the one that runs this.
 * `--output DIR` is `build/` by default.
 *
 * @param args The arguments
 * @param kind Name of the directory to assemble the package in, below the output directory
 * @throws {TypeError} If an argument is unknown or lacks its value
 * @throws {Error} If the program cannot be built or is of no known form
 */
export function preparePackage(args: readonly string[], kind: string): PackageRequest {
  const { values } = parseArgs({
    args: [...args],
    options: {
      executable: { type: "string" },
      runtime: { type: "string", default: process.execPath },
      output: { type: "string", default: join(ROOT, "build") },
    },
  });
  const output = resolve(values.output);
  const work = join(output, kind);
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  const executable = values.executable === undefined ? buildProgram(output) : resolve(values.executable);
  const runtime = isSelfContained(executable) ? undefined : resolve(values.runtime);
  return { payload: { executable, runtime }, output, work };
}

/** Builds the program for its installed place and returns its file. */
function buildProgram(output: string): string {
  const executable = join(output, "virtlockd");
  run(process.execPath, [
    "run",
    "--allow-all",
    join(ROOT, "packaging", "build.ts"),
    "--runtime",
    INSTALLED_RUNTIME,
    "--output",
    executable,
  ]);
  return executable;
}

/** Tells an ELF file from a script. */
function isSelfContained(executable: string): boolean {
  const head = new Uint8Array(4);
  const fd = openSync(executable, "r");
  try {
    readSync(fd, head, 0, head.length, 0);
  } finally {
    closeSync(fd);
  }
  const text = String.fromCharCode(...head);
  if (text === "\x7fELF") return true;
  if (text.startsWith("#!")) return false;
  throw new Error(`Cannot package ${executable}: it is neither an ELF file nor a script`);
}

/** The program's version: what a packager has set, as for `packaging/build.ts`, or that of deno.json. */
export function programVersion(): string {
  const set = process.env.VIRTLOCKD_VERSION;
  if (set !== undefined) return set;
  const manifest: unknown = JSON.parse(readFileSync(join(ROOT, "deno.json"), "utf8"));
  if (typeof manifest === "object" && manifest !== null && "version" in manifest) {
    if (typeof manifest.version === "string") return manifest.version;
  }
  throw new Error("Cannot read the version from deno.json: it is not a string");
}

/**
 * Runs a command with this process's output and waits for it.
 *
 * @throws {Error} If the command cannot be started or fails
 */
export function run(command: string, args: readonly string[]): void {
  const result = spawnSync(command, args, { stdio: "inherit", cwd: ROOT });
  if (result.error !== undefined) throw result.error;
  if (result.status !== 0) {
    throw new Error(`Cannot package: ${command} ended with ${result.status ?? result.signal}, wanted 0`);
  }
}
