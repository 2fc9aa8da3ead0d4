import assert from "node:assert/strict";
import { adoptionText, checkDirectory } from "../../../../src/lockd/lockspace/directory_check.ts";
import type { DirectoryFailure } from "../../../../src/lockd/lockspace/file_failure.ts";
import type { FileStatus } from "../../../../src/os/sys.ts";

const DIRECTORY = 0o040000;
const REGULAR = 0o100000;
const LINK = 0o120000;

/** A tree of directories by path; a string is a symbolic link. The daemon's user is 7. */
function tree(entries: Record<string, { mode?: number; uid?: number; type?: number } | string>) {
  return {
    uid: () => 7,
    lstat(path: string, into: FileStatus): number {
      const entry = entries[path] ?? (path === "/" ? {} : undefined);
      if (entry === undefined) return -2;
      const { mode = 0o755, uid = 0, type = DIRECTORY } = typeof entry === "string" ? { type: LINK } : entry;
      into.mode = type | mode;
      into.uid = uid;
      return 0;
    },
    readlink: (path: string) => {
      const entry = entries[path];
      return typeof entry === "string" ? entry : -22;
    },
  };
}

const SAFE = { "/a": {}, "/a/b": { uid: 7 }, "/a/b/c": { uid: 7, mode: 0o700 } };
const CASES: [what: string, entries: Parameters<typeof tree>[0], path: string, reason: string | undefined][] =
  [
    ["a directory of the daemon's user below safe ones", SAFE, "/a/b/c", undefined],
    ["the same with more slashes and dots", SAFE, "//a/./b/../b/c/", undefined],
    ["one that is reached by links", { ...SAFE, "/l": "a/b", "/a/b/m": "../../a/b/c" }, "/l/m", undefined],
    ["one that is reached by an absolute link", { ...SAFE, "/a/l": "/a/b" }, "/a/l/c", undefined],
    ["one of somebody else", { ...SAFE, "/a/b/c": { uid: 8 } }, "/a/b/c", "/a/b/c belongs to uid 8"],
    ["one of root", { ...SAFE, "/a/b/c": {} }, "/a/b/c", "/a/b/c belongs to uid 0, not to uid 7"],
    [
      "one that the group may write",
      { ...SAFE, "/a/b/c": { uid: 7, mode: 0o770 } },
      "/a/b/c",
      "others than its owner may write /a/b/c (mode 0770)",
    ],
    [
      "one in a directory that all may write",
      { ...SAFE, "/a": { mode: 0o1777 } },
      "/a/b/c",
      "others than its owner may write /a (mode 1777)",
    ],
    ["one in a directory of somebody else", { ...SAFE, "/a": { uid: 8 } }, "/a/b/c", "/a belongs to uid 8"],
    [
      "one behind a link that leads through an unsafe directory",
      { ...SAFE, "/l": "/tmp/x", "/tmp": { mode: 0o777 }, "/tmp/x": { uid: 7 } },
      "/l",
      "others than its owner may write /tmp (mode 0777)",
    ],
    [
      "below a root directory that all may write",
      { ...SAFE, "/": { mode: 0o777 } },
      "/a/b/c",
      "/ (mode 0777)",
    ],
    ["a file", { ...SAFE, "/a/b/f": { type: REGULAR, uid: 7 } }, "/a/b/f", "/a/b/f is no directory"],
    ["a relative path", SAFE, "a/b/c", "a/b/c is no absolute path"],
  ];
for (const [what, entries, path, reason] of CASES) {
  Deno.test(`checkDirectory() ${reason === undefined ? "takes" : "refuses"} ${what}`, () => {
    const failure = checkDirectory(tree(entries), path);
    if (reason === undefined) return assert.equal(failure, undefined);
    assert.equal(failure?.kind, "unfit");
    assert.ok(failure?.kind === "unfit" && failure.reason.includes(reason), JSON.stringify(failure));
  });
}

Deno.test("checkDirectory() says what it could not look at", () => {
  const absent = { kind: "system", action: "Unable to look at /a/x", errno: 2 };
  assert.deepEqual(checkDirectory(tree(SAFE), "/a/x/y"), absent);
  assert.deepEqual(checkDirectory({ ...tree({ "/l": "x" }), readlink: () => -5 }, "/l"), {
    kind: "system",
    action: "Unable to look at /l",
    errno: 5,
  });
  assert.deepEqual(checkDirectory(tree({ "/l": "/l" }), "/l"), {
    kind: "system",
    action: "Unable to look at /l",
    errno: 40,
  });
});

const TEXTS: [failure: DirectoryFailure, text: string | undefined][] = [
  [{ kind: "unfit", reason: "it is a trap" }, "it is a trap"],
  [{ kind: "system", action: "Unable to look at /a", errno: 2 }, undefined],
  [{ kind: "system", action: "Unable to look at /a", errno: 13 }, "Unable to look at /a: Permission denied"],
  [{ kind: "not-a-directory", path: "/a" }, "/a is no directory"],
  [
    { kind: "storage", action: "Unable to look at /a", reason: "it is slow" },
    "Unable to look at /a: it is slow",
  ],
];
for (const [failure, text] of TEXTS) {
  Deno.test(`adoptionText() of ${JSON.stringify(failure)}`, () => assert.equal(adoptionText(failure), text));
}
