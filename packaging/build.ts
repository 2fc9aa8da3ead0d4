// Builds the executable: `deno task build`, or `deno run -A packaging/build.ts [--output FILE] [--runtime
// PATH] [--script]`.
//
// Where the runtime for `deno compile` can be had the result is one self-contained file. Elsewhere it is a
// script of the same name that runs the bundled program with an installed Deno.
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { DAEMON_SIGNALS } from "../src/chassis/start/signals.ts";

const ROOT = resolve(import.meta.dirname ?? ".", "..");
const BUILD = join(ROOT, "build");
const BUNDLE = join(BUILD, "virtlockd.js");

/** What V8 is told: see docs/performance.md. */
const V8_FLAGS = "--max-semi-space-size=2,--optimize-for-size,--no-enable-lazy-source-positions";
/** The daemon gives most of these up again when it starts; the commands and the exporter need them. */
const RUN_FLAGS = ["-A", "--no-prompt", `--v8-flags=${V8_FLAGS}`];

/** Where the runtime caches compiled code when the environment names no place, as under a service manager. */
const CACHE = "/var/cache/virtlockd";

/** Constants of src/chassis/config/build_config.ts that a packager may set. */
const CONSTANTS = ["SYSCONFDIR", "RUNSTATEDIR", "LOCALSTATEDIR", "VERSION"];

function run(command: string, args: readonly string[], quiet = false): { ok: boolean; output: string } {
  const result = spawnSync(command, args, { cwd: ROOT, encoding: "utf8" });
  const output = `${result.stdout ?? ""}${result.stderr ?? ""}`;
  if (result.status !== 0 && !quiet) process.stderr.write(output);
  return { ok: result.status === 0, output };
}

/** Bundles the program into one file, with the packager's constants. */
function bundle(): void {
  const tree = join(BUILD, "tree");
  rmSync(tree, { recursive: true, force: true });
  mkdirSync(tree, { recursive: true });
  for (const name of ["main.ts", "src", "deno.json"]) {
    cpSync(join(ROOT, name), join(tree, name), { recursive: true });
  }
  const config = join(tree, "src/chassis/config/build_config.ts");
  let source = readFileSync(config, "utf8");
  for (const name of CONSTANTS) {
    const value = process.env[`VIRTLOCKD_${name}`];
    if (value === undefined) continue;
    const pattern = `(const ${name}: string = )"[^"]*"`;
    const constant = new RegExp(pattern);
    if (!constant.test(source)) throw new Error(`Set ${name}: ${config} has no such constant`);
    source = source.replace(constant, `$1${JSON.stringify(value)}`);
  }
  writeFileSync(config, source);
  const bundled = run(process.execPath, ["bundle", "--minify", "--output", BUNDLE, join(tree, "main.ts")]);
  if (!bundled.ok) process.exit(1);
}

/** One self-contained file. False where the runtime to embed cannot be had, or what came out does not run. */
function compile(output: string): boolean {
  const unfinished = `${output}.new`;
  const compiled = run(process.execPath, ["compile", ...RUN_FLAGS, "--output", unfinished, BUNDLE], true);
  // A DENORT_BIN that is no denort embeds well, but the result is not this program.
  const works = compiled.ok && run(unfinished, ["--version"], true).output.startsWith("virtlockd ");
  if (works) renameSync(unfinished, output);
  else rmSync(unfinished, { force: true });
  return works;
}

/** A shell script that is also the JavaScript program: the shell leaves it on its second line. */
function writeScript(output: string, runtime: string): void {
  if (runtime.includes("'")) throw new Error(`Name the runtime: ${runtime} must not contain a quote`);
  // Ignored until they are blocked: the runtime would take SIGUSR1, and both would end the process. Where env
  // can block signals (coreutils 8.31) the program need not start itself once more to have them blocked in
  // every thread; a command begins with a letter. Without a home directory the runtime would not start.
  const start = `trap '' USR1 HUP; b=; if env --block-signal=USR1 true 2>/dev/null; then case "$1" in ` +
    `[a-z]*) b='env --block-signal=USR1';; *) b='env --block-signal=${DAEMON_SIGNALS}';; esac; fi; ` +
    `[ -n "$HOME$DENO_DIR" ] || export DENO_DIR=${CACHE}; exec $b '${runtime}' run ${RUN_FLAGS.join(" ")} ` +
    `--no-config --no-lock --no-remote --no-npm --ext=js "$0" "$@"`;
  mkdirSync(dirname(output), { recursive: true });
  writeFileSync(`${output}.new`, `#!/bin/sh\n":" //; ${start}\n${readFileSync(BUNDLE, "utf8")}`);
  chmodSync(`${output}.new`, 0o755);
  // Replaced in one step: a running daemon may execute the old one at any moment.
  renameSync(`${output}.new`, output);
}

const { values } = parseArgs({
  options: {
    output: { type: "string", default: join(ROOT, "virtlockd") },
    runtime: { type: "string", default: process.execPath },
    script: { type: "boolean", default: false },
  },
});
mkdirSync(BUILD, { recursive: true });
bundle();
const output = resolve(values.output);
if (!values.script && compile(output)) {
  console.log(`Built ${output}: one self-contained file`);
} else {
  writeScript(output, values.runtime);
  const why = values.script ? "as asked" : "because the runtime for deno compile (denort) cannot be had here";
  console.log(`Built ${output}: a script that runs with ${values.runtime}, ${why}`);
}
