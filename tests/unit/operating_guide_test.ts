import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname as string, "../..");

/** The sources with every text that is written in several pieces put together. */
function messages(): string {
  const files = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"));
  return files.map((path) => readFileSync(join(ROOT, "src", path), "utf8")).join("\n")
    .replace(/["`']\s*\+\s*["`']/g, "");
}

/** What the guide's table of messages quotes. */
function quoted(): string[] {
  const guide = readFileSync(join(ROOT, "docs/operating.md"), "utf8");
  const section = guide.slice(guide.indexOf("### What each warning means"), guide.indexOf("\n## Remove"));
  return [...section.matchAll(/^\| `([^`]+)` +\|/gm)].map(([, text = ""]) => text);
}

Deno.test("the operating guide quotes messages as they are in the log", () => {
  const all = messages();
  const texts = quoted();
  assert.ok(texts.length > 40, `${texts.length} messages are quoted`);
  assert.deepEqual(texts.filter((text) => !all.includes(text)), []);
  assert.deepEqual(texts.filter((text, index) => texts.indexOf(text) !== index), []);
});
