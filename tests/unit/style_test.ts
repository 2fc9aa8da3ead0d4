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
      if (line.length > WIDTH && /^\s*(?:\/\/|\/?\*)/.test(line)) wide.push(`${file}:${index + 1}`);
    });
  }
  assert.deepEqual(wide, []);
});

/** Longest function, in lines with its head and its braces. */
const FUNCTION_LINES = 70;

/** Functions that may be longer, each with its reason. */
const LONG_FUNCTIONS: Readonly<Record<string, string>> = {
  "src/chassis/admin/admin_servers.ts serverProcedures": "a table of procedures",
  "src/lockd/daemon/daemon.ts constructor": "makes each part of the daemon once, in the order of their needs",
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
  }
  assert.deepEqual(long.sort(), Object.keys(LONG_FUNCTIONS).sort());
});

/** What nothing but tests uses, each with its reason. */
const TEST_ONLY: Readonly<Record<string, string>> = {
  "src/os/constants.ts EPOLLHUP": "an event that tests look for; the daemon takes any",
  "src/os/constants.ts F_GETFL": "tests look whether a descriptor is non-blocking",
  // The storage daemon is built from its middle outwards: its sockets and its start use these.
};

Deno.test("everything that src/ exports and that is no type is used by the program or by the build", () => {
  const texts = new Map(
    FILES.filter((path) => !path.startsWith("tests/"))
      .map((path) => [path, readFileSync(join(ROOT, path), "utf8")]),
  );
  const dead: string[] = [];
  for (const [file, text] of texts) {
    const declared = text.matchAll(
      /^export (?:abstract )?(?:async )?(?:const|let|function\*?|class) (\w+)/gm,
    );
    for (const [, name = ""] of declared) {
      const used = new RegExp(`\\b${name}\\b`, "g");
      const inside = text.match(used)?.length ?? 0;
      const outside = [...texts].some(([other, code]) => other !== file && used.test(code));
      if (inside < 2 && !outside) dead.push(`${file} ${name}`);
    }
  }
  assert.deepEqual(dead.sort(), Object.keys(TEST_ONLY).sort());
});

/** Members that nothing but tests calls, each with its reason. */
const TEST_ONLY_MEMBERS: Readonly<Record<string, string>> = {
  "src/chassis/wire/xdr.ts remaining": "tests make sure that a decoder has read everything",
  "src/os/sys.ts eventfd": "stands for a pidfd in tests that need one without a process",
};

Deno.test("every member of a class, and of the surface to the kernel, is used by the program", () => {
  const texts = FILES.filter((path) => path.startsWith("src/")).map((path) =>
    [path, readFileSync(join(ROOT, path), "utf8")] as const
  );
  const unused: string[] = [];
  for (const [file, text] of texts) {
    // Those of the implementations are the surface's.
    if (file.startsWith("src/os/") && file !== "src/os/sys.ts") continue;
    for (
      const [, name = ""] of text.matchAll(/^ {2}(?:static )?(?:get |set |\*)?([a-z]\w*)(?:<[^>]*>)?\(/gm)
    ) {
      const used = new RegExp(`\\b${name}\\b`, "g");
      const elsewhere = texts.some(([other, code]) =>
        other !== file && !/^src\/os\/(?:libc|\w+_sys)\.ts$/.test(other) && code.match(used) !== null
      );
      if (!elsewhere && (text.match(used)?.length ?? 0) < 2) unused.push(`${file} ${name}`);
    }
  }
  assert.deepEqual([...new Set(unused)].sort(), Object.keys(TEST_ONLY_MEMBERS).sort());
});
