import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

// What deno fmt and deno lint do not look at.

/** Longest line of a comment, in characters: the width at which deno fmt breaks code. */
const WIDTH = 110;

const ROOT = join(import.meta.dirname as string, "../..");
const FILES = ["src", "tests", "packaging"].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" }).map((path) => join(folder, path))
).filter((path) => path.endsWith(".ts")).concat("main.ts");

Deno.test(`no comment is wider than ${WIDTH} columns`, () => {
  const wide: string[] = [];
  for (const file of FILES) {
    readFileSync(join(ROOT, file), "utf8").split("\n").forEach((line, index) => {
      if (line.length > WIDTH && /^\s*\/?\*|(?:^|\s)\/\/ /.test(line)) wide.push(`${file}:${index + 1}`);
    });
  }
  assert.deepEqual(wide, []);
});

Deno.test("no file has two tests of one name", () => {
  const twice = FILES.filter((path) => path.endsWith("_test.ts")).flatMap((path) => {
    const names = [...readFileSync(join(ROOT, path), "utf8").matchAll(/^Deno\.test\(\s*("[^"]+")/gm)]
      .map(([, name]) => `${path} ${name}`);
    return names.filter((name, index) => names.indexOf(name) !== index);
  });
  assert.deepEqual(twice, []);
});

/** What the project has at its top, beside what .gitignore names. */
const TOP = [
  ...[
    ".ci",
    ".deno-version",
    ".git",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "README.md",
  ],
  ...["conf", "deno.json", "deno.lock", "docs", "main.ts", "man", "packaging", "src", "tests"],
];

Deno.test("nothing lies at the project's top that does not belong there", () => {
  const made = readFileSync(join(ROOT, ".gitignore"), "utf8").split("\n").filter((line) => line !== "");
  const isMade = (name: string) =>
    made.some((line) => line.startsWith("*") ? name.endsWith(line.slice(1)) : line.split("/")[1] === name);
  assert.deepEqual(readdirSync(ROOT).filter((name) => !TOP.includes(name) && !isMade(name)), []);
});

/** Longest line of a manual's text, in bytes, of which mandoc does not complain. */
const MANUAL_WIDTH = 80;

Deno.test("no line of a manual's text is longer than its style allows", () => {
  const long = readdirSync(join(ROOT, "man")).flatMap((page) =>
    readFileSync(join(ROOT, "man", page), "utf8").split("\n").flatMap((line, index) =>
      !line.startsWith(".") && new TextEncoder().encode(line).length > MANUAL_WIDTH
        ? [`man/${page}:${index + 1}`]
        : []
    )
  );
  assert.deepEqual(long, []);
});

/** Longest function, in lines with its head and its braces. */
const FUNCTION_LINES = 70;

/** Functions that may be longer, each with its reason. */
const LONG_FUNCTIONS: Readonly<Record<string, string>> = {
  "src/chassis/admin/admin_servers.ts serverProcedures": "a table of procedures",
  "src/lockd/daemon/lock_core.ts constructor": "makes each part of the lock core once",
  "src/lockd/reporting/event_log.ts eventLog": "a table of events",
  "src/lockd/journal/operation_decoder.ts #operation": "a switch with one short case for each operation",
  "src/lockd/programs/lock_program.ts lockProgram": "a table of procedures",
  "src/os/event_sys.ts eventSys": "a list of system calls",
  "src/os/file_sys.ts fileSys": "a list of system calls",
  "src/os/process_sys.ts processSys": "a list of system calls",
  "src/os/socket_sys.ts socketSys": "a list of system calls",
  "src/storaged/daemon/storage_daemon.ts constructor": "makes each part of the daemon once",
};

/** Heads of functions and methods as deno fmt writes them: what they are indented by, and their name. */
const FUNCTION_HEAD =
  /^( *)(?:export )?(?:static )?(?:async )?(?:function\*? (\w+)|(?:get |set |\*)?(#?\w+)\().*$/;
const NO_FUNCTION = /^ *(?:if|for|while|switch|return|const|let|await|super|throw|else|new|yield)\b/;

Deno.test(`no function of src/ is longer than ${FUNCTION_LINES} lines, but for those with a reason`, () => {
  const long: string[] = [];
  for (const file of FILES.filter((path) => path.startsWith("src/"))) {
    const lines = readFileSync(join(ROOT, file), "utf8").split("\n");
    lines.forEach((line, start) => {
      const [, indent = "", declared, method] = NO_FUNCTION.test(line) ? [] : FUNCTION_HEAD.exec(line) ?? [];
      const name = declared ?? method;
      // A call ends in a semicolon, or has no body of its own.
      const body = lines.findIndex((text, at) => at >= start && /[{;]$/.test(text));
      if (name === undefined || !lines[body]?.endsWith(") {") && !/\): .*\{$/.test(lines[body] ?? "")) return;
      const end = lines.findIndex((text, at) => at > body && text.startsWith(`${indent}}`));
      if (end - start + 1 > FUNCTION_LINES) long.push(`${file} ${name}`);
    });
    lines.forEach((line, start) => {
      if (!line.endsWith("=> {")) return;
      const [indent = ""] = /^ */.exec(line) ?? [];
      const end = lines.findIndex((text, at) => at > start && text.startsWith(`${indent}}`));
      if (end - start + 1 > FUNCTION_LINES) long.push(`${file} arrow function in line ${start + 1}`);
    });
  }
  assert.deepEqual(long.sort(), Object.keys(LONG_FUNCTIONS).sort());
});

/** A source without its comments: to name something there is not to use it. */
function code(path: string): string {
  return readFileSync(join(ROOT, path), "utf8").replace(/\/\*\*?\s[^]*?\*\/|(?<=^|\s)\/\/ .*/gm, "");
}

const CODE = new Map(FILES.map((path) => [path, code(path)]));

/** Whether a word is used in a file besides `own`, among those of which `among` is true. */
function usedOutside(word: string, own: string, among: (path: string) => boolean): boolean {
  const used = new RegExp(`(?<![\\w#])${word}\\b`);
  return [...CODE].some(([path, text]) => path !== own && among(path) && used.test(text));
}

/** Whatever a file exports by name. */
const EXPORTED =
  /^export (?:abstract )?(?:async )?(?:const|let|function\*?|class|interface|type|enum) (\w+)/gm;

/** What nothing but tests uses, each with its reason. */
const TEST_ONLY: Readonly<Record<string, string>> = {
  "src/chassis/wire/admin_reply.ts ListReply": "what clients make of what encodeServerList() writes",
  "src/os/constants.ts EPOLLHUP": "an event that tests look for; the daemon takes any",
  "src/os/constants.ts F_GETFL": "tests look whether a descriptor is non-blocking",
};

Deno.test("everything that src/ exports is used by the program or by the build", () => {
  const dead: string[] = [];
  for (const [file, text] of CODE) {
    if (file.startsWith("tests/")) continue;
    for (const [, name = ""] of text.matchAll(EXPORTED)) {
      const inside = text.match(new RegExp(`\\b${name}\\b`, "g"))?.length ?? 0;
      if (inside < 2 && !usedOutside(name, file, (path) => !path.startsWith("tests/"))) {
        dead.push(`${file} ${name}`);
      }
    }
  }
  assert.deepEqual(dead.sort(), Object.keys(TEST_ONLY).sort());
});

/** Values that src/ exports; the errno are exported as a whole. */
const VALUE = /^export (?:abstract )?(?:async )?(?:const|let|function\*?|class) (\w+)/gm;

Deno.test("every value that src/ exports is used outside its file", () => {
  const inner: string[] = [];
  for (const [file, text] of CODE) {
    if (!file.startsWith("src/") || file === "src/os/errno.ts") continue;
    for (const [, name = ""] of text.matchAll(VALUE)) {
      if (!usedOutside(name, file, () => true)) inner.push(`${file} ${name}`);
    }
  }
  assert.deepEqual(inner, []);
});

/** Members that nothing but tests calls, each with its reason. */
const TEST_ONLY_MEMBERS: Readonly<Record<string, string>> = {
  "src/chassis/wire/xdr_reader.ts remaining": "tests make sure that a decoder has read everything",
  "src/os/sys.ts eventfd": "stands for a pidfd in tests that need one without a process",
};

/** Members as deno fmt writes them: methods, accessors and fields of classes and of interfaces. */
const MEMBER =
  /^ {2}(?:(?:declare|override|static|readonly|async|get|set) )*\*?([A-Za-z]\w*)(?:<[^>]*>)?\??(?:\(|: |;$| = )/gm;

Deno.test("every member of a class, of an interface and of the surface to the kernel is used by the program", () => {
  const source = (path: string) => path.startsWith("src/");
  // That the implementations of the surface have it is no use of it.
  const surface = /^src\/os\/(?:libc|\w+_sys)\.ts$/;
  const unused = new Set<string>();
  for (const [file, text] of CODE) {
    if (!source(file) || surface.test(file)) continue;
    for (const [, name = ""] of text.matchAll(MEMBER)) {
      const inside = text.match(new RegExp(`(?<![\\w#])${name}\\b`, "g"))?.length ?? 0;
      if (inside < 2 && !usedOutside(name, file, (path) => source(path) && !surface.test(path))) {
        unused.add(`${file} ${name}`);
      }
    }
  }
  assert.deepEqual([...unused].sort(), Object.keys(TEST_ONLY_MEMBERS).sort());
});

Deno.test("what a comment links to and the parameters that it describes are there", () => {
  const words = new Set([...CODE.values()].join("\n").match(/\w+/g));
  const wrong: string[] = [];
  for (const file of FILES) {
    const text = readFileSync(join(ROOT, file), "utf8");
    for (const { 0: comment, index } of text.matchAll(/\/\*\*\s[^]*?\*\//g)) {
      const linked = [...comment.matchAll(/\{@link (#?[\w.#]+)/g)].flatMap(([, name = ""]) =>
        name.split(/[.#]/)
      );
      const missing = linked.filter((name) => name !== "" && !words.has(name));
      // The head of what it describes is short.
      const below = text.slice(index + comment.length, index + comment.length + 800);
      const described = [...comment.matchAll(/@param (\w+)/g)].map(([, name = ""]) => name);
      const unknown = described.filter((name) => !new RegExp(`\\b${name}\\b`).test(below));
      wrong.push(...[...missing, ...unknown].map((name) => `${file}: ${name}`));
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("no two functions of src/ have the same body", () => {
  const known = new Map<string, string>();
  const copies: string[] = [];
  for (const [file, text] of CODE) {
    if (!file.startsWith("src/")) continue;
    for (const [, name, body = ""] of text.matchAll(/^(?:export )?function\*? (\w+)[^]*?\{\n([^]*?)\n\}/gm)) {
      const words = body.replace(/\s+/g, " ");
      const first = known.get(words);
      // What is shorter says no more than a call of it would.
      if (words.length > 40 && first !== undefined) copies.push(`${file} ${name} is ${first}`);
      known.set(words, `${file} ${name}`);
    }
  }
  assert.deepEqual(copies, []);
});

/** Tests that may be left out, each with its reason. CI fails when it leaves one out (.ci/run). */
const MAY_BE_IGNORED: Readonly<Record<string, string>> = {
  "tests/integration/full_run_cluster_test.ts": "only root can mount something",
  "tests/integration/full_run_test.ts": "only root can mount something",
  "tests/integration/limits_test.ts": "only root can be somebody else",
  "tests/integration/settling_crash_test.ts":
    "nothing is adopted where others may write a directory on the way",
  "tests/unit/packaging/changelog_test.ts": "a host without dpkg-deb makes no Debian package",
};

/** A test's option may also be a variable of that name: `{ name, ignore, fn }`. */
const LEFT_OUT = /\bDeno\.test\.(?:ignore|only)\b|\b(?:ignore|only): |[{,]\s*(?:ignore|only)\s*[,}]/;

Deno.test("no test is left out, and none is run alone, but for those with a reason", () => {
  const left = [...CODE].filter(([path, text]) => path.startsWith("tests/") && LEFT_OUT.test(text));
  assert.deepEqual(left.map(([path]) => path).sort(), Object.keys(MAY_BE_IGNORED).sort());
});

Deno.test("nothing but src/os reaches for the kernel past its surface", () => {
  const reaching = [...CODE].filter(([path, text]) =>
    path.startsWith("src/") && !path.startsWith("src/os/") && /\b(?:dlopen|Unsafe[A-Z]\w*)\b/.test(text)
  );
  assert.deepEqual(reaching.map(([path]) => path), []);
});

Deno.test("no type is cast by way of one that knows nothing", () => {
  const cast = [...CODE].filter(([, text]) =>
    new RegExp("\\bas (?:unknown|never)\\)*\\s+" + "as\\b").test(text)
  );
  assert.deepEqual(cast.map(([path]) => path), []);
});
