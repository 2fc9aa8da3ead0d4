import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname as string, "../..");
/** Shorter texts are pieces of others. */
const SHORTEST = 12;

/** A text in which every message that is written in several pieces is put together. */
function joined(source: string): string {
  return source.replace(/["`']\s*\+\s*["`']/g, "");
}

/** A page for operators, with the sources whose messages it explains. */
interface Guide {
  readonly page: string;
  readonly explains: (path: string) => boolean;
  /** How many messages there are at least. */
  readonly least: number;
}

const STORAGE = /^storaged\//;
const GUIDES: readonly Guide[] = [
  { page: "docs/operating.md", explains: (path) => !STORAGE.test(path), least: 40 },
  { page: "docs/storage.md", explains: (path) => STORAGE.test(path), least: 7 },
];

/** The sources of what logs: all but the commands. */
function sources({ explains }: Guide): string[] {
  const root = join(ROOT, "src");
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts") && !path.includes("cli/") && explains(path))
    .map((path) => joined(readFileSync(join(root, path), "utf8")));
}

/** What the guide's table of messages quotes. */
function quoted({ page }: Guide): string[] {
  const guide = readFileSync(join(ROOT, page), "utf8");
  const begin = guide.search(/^##+ What each warning means/m);
  const end = guide.indexOf("\n## Remove", begin);
  const section = guide.slice(begin, end < 0 ? undefined : end);
  return [...section.matchAll(/^\| `([^`]+)` +\|/gm)].map(([, text = ""]) => text);
}

/** What stands between the parentheses of a call, which begins at an index. */
function argumentsAt(source: string, begin: number): string {
  let depth = 1;
  let end = begin;
  while (depth > 0 && end < source.length) {
    if (source[end] === "(") depth++;
    if (source[end] === ")") depth--;
    end++;
  }
  return source.slice(begin, end - 1);
}

/** The texts in a call without what is put into them. */
function ownText(call: string): string {
  const texts = [...call.matchAll(/`[^`]*`|"[^"]*"/g)].map(([text]) => text.slice(1, -1));
  return texts.join("").replace(/\$\{[^}]*\}/g, "").replace(/[^A-Za-z ]/g, "").trim();
}

/** The calls that write a warning, an error or a notice with a text of their own. */
function warnings(guide: Guide): string[] {
  return sources(guide).flatMap((source) =>
    [...source.matchAll(/\b(?:log|logger|#log)\.(?:warn|error|notice)\(/g)]
      .map(({ 0: call, index }) => argumentsAt(source, index + call.length))
      .filter((text) => ownText(text).length >= SHORTEST)
  );
}

for (const guide of GUIDES) {
  Deno.test(`${guide.page} quotes messages as they are in the log`, () => {
    // What every daemon's log can say, the chassis writes.
    const explains = (path: string) => guide.explains(path) || path.startsWith("chassis/");
    const all = sources({ ...guide, explains }).join("\n");
    const texts = quoted(guide);
    assert.ok(texts.length >= guide.least, `${texts.length} messages are quoted`);
    assert.deepEqual(texts.filter((text) => !all.includes(text)), []);
    assert.deepEqual(texts.filter((text, index) => texts.indexOf(text) !== index), []);
  });

  Deno.test(`${guide.page} says of every warning what it means, and what to do`, () => {
    const texts = quoted(guide);
    const found = warnings(guide);
    assert.ok(found.length >= guide.least, `${found.length} warnings were found`);
    assert.deepEqual(found.filter((warning) => !texts.some((text) => warning.includes(text))), []);
  });
}
