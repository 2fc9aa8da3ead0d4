import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const ROOT = join(import.meta.dirname as string, "../..");
const FILES = ["docs", "man", "packaging", "src", "tests"].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" }).map((path) => join(folder, path))
).concat(readdirSync(ROOT));
const PAGES = FILES.filter((path) => path.endsWith(".md"));
const CODE = FILES.filter((path) => /^(src|tests|packaging)\/.*\.ts$/.test(path) || path === "main.ts");

function text(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** Headings of a page as they are written. */
function headings(path: string): string[] {
  return [...text(path).matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading as string);
}

/**
 * A file's comments with their line ends and stars taken out, so that a reference may go over a line's end.
 */
function flowing(path: string): string {
  return text(path).replace(/\n\s*(?:\*(?!\/)|\/\/) ?/g, " ").replace(/ +/g, " ");
}

Deno.test("every page that code refers to is in the repository", () => {
  const dangling: string[] = [];
  for (const path of CODE) {
    for (const [name] of flowing(path).matchAll(/[\w./-]+\.md\b/g)) {
      if (
        name.startsWith("docs/")
          ? !PAGES.includes(name)
          : !PAGES.some((page) => `/${page}`.endsWith(`/${name}`))
      ) {
        dangling.push(`${path}: ${name}`);
      }
    }
  }
  assert.deepEqual(dangling, []);
});

Deno.test("every section that code refers to is in its page", () => {
  const dangling: string[] = [];
  for (const path of CODE) {
    for (const [, page, rest] of flowing(path).matchAll(/\b(docs\/[a-z-]+\.md), "?([A-Zs][\w -]+)/g)) {
      const known = headings(page as string).some((heading) => rest?.startsWith(heading));
      if (!known) dangling.push(`${path}: ${page}, ${rest}`);
    }
  }
  assert.deepEqual(dangling, []);
});

Deno.test("every link of a page leads to a file, and to a heading of it", () => {
  const broken: string[] = [];
  for (const page of PAGES) {
    for (const [, target] of text(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (target === undefined || /^[a-z]+:/.test(target)) continue;
      const [path = "", anchor] = target.split("#");
      const file = path === "" ? page : join(dirname(page), path);
      if (!existsSync(join(ROOT, file))) broken.push(`${page}: ${target}`);
      else if (anchor !== undefined && !headings(file).map(anchorOf).includes(anchor)) {
        broken.push(`${page}: ${target}`);
      }
    }
  }
  assert.deepEqual(broken, []);
});

function anchorOf(heading: string): string {
  return heading.toLowerCase().replace(/[^\w -]/g, "").replaceAll(" ", "-");
}

Deno.test("no piece of code in a page goes over a line's end: nobody could search for it", () => {
  const broken: string[] = [];
  for (const page of PAGES) {
    const lines = text(page).replace(/^```[^]*?^```/gm, (block) => block.replace(/`/g, "")).split("\n");
    lines.forEach((line, at) => {
      const marks = line.startsWith("    ") ? 0 : line.split("`").length - 1;
      if (marks % 2 === 1) broken.push(`${page}:${at + 1}`);
    });
  }
  assert.deepEqual(broken, []);
});

/** Pages for those who work on the code, which name its parts. */
const ABOUT_CODE = PAGES.filter((path) =>
  /^(?:docs\/(?:architecture|crash-safety|debugging|dependencies|performance|testing)|CONTRIBUTING)\.md$/
    .test(path) ||
  path.startsWith("docs/decisions/")
);

Deno.test("every source file that a page names is there", () => {
  const missing: string[] = [];
  const ours = [
    ...PAGES.filter((path) => path.startsWith("docs/")),
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
  ];
  for (const page of ours) {
    for (const [, path = ""] of text(page).matchAll(/`((?:src|tests|packaging|conf|man)\/[\w./-]+)`/g)) {
      // NAME stands for a daemon that is yet to be written.
      if (!path.includes("NAME") && !existsSync(join(ROOT, path))) missing.push(`${page}: ${path}`);
    }
    for (const [, name = ""] of text(page).matchAll(/`([\w-]+\.ts)`/g)) {
      if (!CODE.some((path) => path.endsWith(`/${name}`) || path === name)) missing.push(`${page}: ${name}`);
    }
  }
  assert.deepEqual(missing, []);
});

Deno.test("every class, type and function that a page about the code names is there", () => {
  const sources = CODE.filter((path) => path !== "tests/unit/docs_test.ts").map(text).join("\n");
  const missing: string[] = [];
  for (const page of ABOUT_CODE) {
    for (
      const [, name = ""] of text(page).matchAll(
        /`(?:[A-Z]\w*\.)?([A-Z][a-z]+[A-Z]\w*|\w+(?=\(\)`))(?:\(\))?`/g,
      )
    ) {
      if (!new RegExp(`\\b${name}\\b`).test(sources)) missing.push(`${page}: ${name}`);
    }
  }
  assert.deepEqual(missing, []);
});
