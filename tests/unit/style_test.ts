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
