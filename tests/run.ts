// `deno task test`: unit and integration tests. `deno task test:e2e`: the end-to-end tests. Of
// either, several processes go on side by side.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { BUNDLED_VARIABLE, bundledName } from "./support/programs.ts";

const TESTS = import.meta.dirname ?? "tests";
const ROOT = join(TESTS, "..");

/** So many runs of Deno's test runner go on at a time: more than there are CPUs, because tests wait too. */
const SIDES = 3;
/** Of tests of clusters, which wait more: for hosts that are not heard of, and for these to object. */
const CLUSTER_SIDES = 5;
/** Of the integration tests. */
const SHARES = 12;
/** Of the unit tests. */
const UNIT_SHARES = 8;
/** Of those end-to-end tests of a stage that take less than a minute each. */
const SHORT_SHARES = 6;
/** Main modules of the nemesis that its tests run. */
const NEMESIS_ENTRIES = ["link.ts", "no_settling.ts", "right.ts"];

interface Ended {
  readonly status: number;
  readonly output: string;
}

/** One run of Deno's test runner. Its output is shown when it has ended, so that two do not mix. */
function run(paths: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, ["test", "-A", "--no-check", ...paths], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const chunks: Uint8Array[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Uint8Array) => chunks.push(chunk));
  }
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => {
      const output = chunks.map((chunk) => new TextDecoder().decode(chunk)).join("");
      process.stdout.write(output);
      resolve({ status: status ?? 1, output });
    });
  });
}

function counted(output: string, word: string): number {
  // deno-lint-ignore no-control-regex -- the runner colours its summary
  const plain = output.replace(/\x1b\[[0-9;]*m/g, "");
  return Number([...plain.matchAll(new RegExp(`(\\d+) ${word}`, "g"))].at(-1)?.[1] ?? 0);
}

/** So many runs at a time: whichever has ended makes room for the next one. */
async function sideBySide(sides: number, runs: readonly (readonly string[])[]): Promise<Ended[]> {
  const waiting = [...runs];
  const results: Ended[] = [];
  const side = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      results.push(await run(next));
    }
  };
  await Promise.all(Array.from({ length: sides }, side));
  return results;
}

function testsBelow(folder: string): string[] {
  return readdirSync(join(TESTS, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith("_test.ts")).sort().map((name) => join(TESTS, folder, name));
}

/** Runs that go on side by side. */
interface Stage {
  /** How many at a time. */
  readonly sides: number;
  /** Whichever side has ended one takes the next one. */
  readonly runs: readonly (readonly string[])[];
  /** Go on beside these, one after the other: they mostly wait, and would keep a side from the processors. */
  readonly waiting: readonly (readonly string[])[];
}

/** The runs that there are: those of a stage begin when all of the stage before have ended. */
function stagesOf(names: readonly string[]): Stage[] {
  if (names[0] === "e2e") return endToEnd(testsBelow("e2e"));
  if (names.length > 0) return [{ sides: 1, runs: [names], waiting: [] }];
  // Those of unit tests are short: no side is left alone for long at the end.
  const directory = temporaryDirectory();
  const integration = imported(directory, "integration", shared(testsBelow("integration"), SHARES));
  const unit = imported(directory, "unit", shared(testsBelow("unit"), UNIT_SHARES));
  return [{ sides: SIDES, runs: [...integration, ...unit], waiting: [] }];
}

function shared(files: readonly string[], shares: number): string[][] {
  return Array.from({ length: shares }, (_, share) => files.filter((_, index) => index % shares === share));
}

/**
 * Runs of one file for each share, which imports all of its tests. The runner starts an engine for every file
 * that it is given, and loads all modules there anew, which takes 0.7 s of CPU: for hundreds of small files
 * that is minutes more than the tests themselves.
 */
function imported(directory: string, name: string, shares: readonly (readonly string[])[]): string[][] {
  return shares.map((share, index) => {
    const file = join(directory, `${name}_${index}_test.ts`);
    writeFileSync(file, share.map((test) => `import "${pathToFileURL(test)}";\n`).join(""));
    return [file];
  });
}

/** A directory that goes with this process, also when somebody ends it. */
function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "virtlockd-run-"));
  process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => process.exit(128 + constants.signals[signal]));
  }
  return directory;
}

/** End-to-end tests that wait for minutes, beside others that keep the processors busy. */
const WAITING = ["nemesis_test.ts", "watchdog_test.ts"];

/**
 * A file each of those that take long: shares of them would not end at the same time.
 *
 * Daemons that are members of a cluster in a user namespace come first: they cannot see whose the locks of
 * QEMUs elsewhere on this machine are, and keep the locks of guests that have ended as long as there are any.
 */
function endToEnd(files: readonly string[]): Stage[] {
  const waits = (file: string) => WAITING.includes(basename(file));
  const isMember = (file: string) =>
    // They take minutes, and what they wait for goes by what is said of a host: no guest is judged.
    !/fence_(command|asked)_test\.ts$/.test(file) &&
    /\/support\/(cluster|played)_host\.ts/.test(readFileSync(file, "utf8"));
  const directory = temporaryDirectory();
  const runs = (name: string, chosen: readonly string[]) => {
    const long = chosen.filter((file) => placeOf(file) < LONGEST.length);
    const short = shared(longestFirst(chosen.filter((file) => !long.includes(file))), SHORT_SHARES);
    return [...longestFirst(long).map((file) => [file]), ...imported(directory, name, short)];
  };
  return [
    { sides: CLUSTER_SIDES, runs: runs("members", files.filter(isMember)), waiting: [] },
    {
      sides: SIDES,
      runs: runs("others", files.filter((file) => !isMember(file) && !waits(file))),
      waiting: files.filter(waits).map((file) => [file]),
    },
  ];
}

/**
 * Those that took longest in CI, the longest first; all others took less than a minute. Those with storage
 * that hangs stand together, long before the one whose doctor looks at all storage.
 */
const LONGEST = [
  "killed_dpkg",
  "journey",
  "manners",
  "cluster_phases",
  "fence_package",
  "first_installation",
  "storage_golden",
  "crash_systemd",
  "emptied_store",
  "cluster_reboot",
  "package_orders",
  "fence_command",
  "doctor_guests",
  "storage_jobs_hang",
  "hung_storage",
  "storage_hang",
  "package",
  "cluster_crash_steps",
  "cluster",
  "cluster_on_lost",
  "cluster_pause",
  "killed_divert",
  "fence_asked",
  "migration",
  "last_writes",
  "reference",
  "storage_kill",
  "life_cycle",
  "lock_directories",
  "service_environment",
  "cluster_fence",
  "cluster_join",
  "cluster_takeover",
  "doctor_host",
];

function placeOf(file: string): number {
  const found = LONGEST.indexOf(basename(file, "_test.ts"));
  return found < 0 ? LONGEST.length : found;
}

/** Those of {@link LONGEST}, then by the length of their texts: no long one is left alone at the end. */
function longestFirst(files: readonly string[]): string[] {
  const length = (file: string) => readFileSync(file, "utf8").length;
  return files.toSorted((a, b) => placeOf(a) - placeOf(b) || length(b) - length(a));
}

/**
 * Puts each program that tests start into one file, for the tests that begin afterwards.
 *
 * What is run is a TypeScript file that imports it: with another ending the program would execute the file,
 * without the runtime. The program itself is JavaScript, and minified as that of a package is: it starts with
 * 220 ms of CPU, and with 265 ms otherwise. The same text in a TypeScript file takes 450 ms, and the sources
 * 620 ms.
 */
function bundlePrograms(): void {
  const output = join(ROOT, "build/tests");
  rmSync(output, { recursive: true, force: true });
  const named = (folder: string, ending: string) =>
    readdirSync(join(TESTS, folder)).filter((name) => name.endsWith(ending))
      .map((name) => join(TESTS, folder, name));
  const sources = [
    join(ROOT, "main.ts"),
    join(ROOT, "src/etcd/link/run.ts"),
    ...named("support", "_main.ts"),
    ...NEMESIS_ENTRIES.map((name) => join(TESTS, "nemesis/entries", name)),
  ];
  // They keep the folders that they have below the one that holds all of them, which is that of main.ts.
  execFileSync(process.execPath, ["bundle", "--quiet", "--minify", "--outdir", output, ...sources]);
  for (const source of sources) {
    const file = join(output, bundledName(source));
    writeFileSync(file, `import "./${basename(file, ".ts")}.js";\n`);
  }
  process.env[BUNDLED_VARIABLE] = output;
}

const names = process.argv.slice(2);
if (names.length === 0 || names[0] === "e2e") bundlePrograms();
const results: Ended[] = [];
for (const { sides, runs, waiting } of stagesOf(names)) {
  results.push(...(await Promise.all([sideBySide(sides, runs), sideBySide(1, waiting)])).flat());
}
const sum = (word: string) => results.reduce((total, { output }) => total + counted(output, word), 0);
const ok = results.every(({ status }) => status === 0);
const ending = `${sum("passed")} passed | ${sum("failed")} failed | ${sum("ignored")} ignored`;
console.log(`\n${ok ? "ok" : "FAILED"} | ${ending}`);
process.exitCode = ok ? 0 : 1;
