import assert from "node:assert/strict";
import { sourceNames } from "../../../packaging/source_tree.ts";
import { Staging } from "../../../packaging/staging.ts";
import { host, runOk } from "../../e2e/support/command.ts";
import { Scratch } from "../../support/scratch.ts";

const ROOT = new URL("../../..", import.meta.url).pathname;

Deno.test("sources are copied without what was made of them, and without the place of the copy", () => {
  using tree = new Scratch();
  tree.write(".gitignore", "/build/\n/.lab/\n*.deb\n");
  for (const name of ["src", "build", "out", ".git", ".lab"]) Deno.mkdirSync(tree.file(name));
  for (const name of ["main.ts", "deno-virtlockd_1.deb", "deno-virtlockd-1.tar.xz", "deno-virtlockd.spec"]) {
    tree.write(name);
  }
  const copied = (copy: string) => sourceNames(tree.path, copy).sort();
  assert.deepEqual(copied(tree.file("build/source/deno-virtlockd-1")), [
    ".gitignore",
    "main.ts",
    "out",
    "src",
  ]);
  assert.deepEqual(copied(tree.file("out/deno-virtlockd-1")), [".gitignore", "main.ts", "src"]);
  assert.deepEqual(copied("/elsewhere/src"), [".gitignore", "main.ts", "out", "src"]);
});

Deno.test("a directory that packages go to keeps what is in it, whatever it is called", async () => {
  using place = new Scratch();
  for (const name of ["deb", "rpm", "tar"]) Deno.mkdirSync(place.file(name));
  place.write("letter");
  {
    using staging = new Staging(place.path);
    assert.equal((Deno.statSync(staging.path).mode ?? 0) & 0o777, 0o755);
    Deno.writeTextFileSync(`${staging.path}/control`, "");
  }
  const source = [Deno.execPath(), "run", "-A", `${ROOT}packaging/source.ts`, "--output", place.path];
  for (const round of ["made", "made again"]) {
    // xz at its best takes ten seconds of a CPU.
    await runOk(host, source, { env: { XZ_OPT: "-0" }, deadline: 60_000 });
    const names = [...Deno.readDirSync(place.path)].map(({ name }) => name.replace(/\d.*\d/, "N")).sort();
    assert.deepEqual(names, [
      ...["deb", "deno-virtlockd-N", "deno-virtlockd-N.tar.xz", "deno-virtlockd.spec"],
      ...["deno-virtlockd_N.orig.tar.xz", "letter", "rpm", "tar"],
    ], round);
  }
});
