import assert from "node:assert/strict";
import { installedRuntime, packageFiles } from "../../../packaging/files.ts";

const PROGRAM = { executable: "/nowhere/virtlockd", runtime: "/nowhere/deno" };

/** Everything in a package of this layout. */
function targets(layout: "diverted" | "linked"): string[] {
  return packageFiles(layout, PROGRAM).map(({ target }) => target);
}

Deno.test("every file of a package is there to be copied, and has a place of its own", () => {
  for (const layout of ["diverted", "linked"] as const) {
    const files = packageFiles(layout, PROGRAM);
    assert.equal(new Set(targets(layout)).size, files.length);
    for (const { content, target } of files) {
      assert.doesNotMatch(target, /^\/|\.\./);
      if ("source" in content && !content.source.startsWith("/nowhere/")) Deno.statSync(content.source);
    }
  }
});

Deno.test("both layouts have the operating guide, and every page that it and the others refer to", () => {
  for (const layout of ["diverted", "linked"] as const) {
    const pages = targets(layout).filter((target) => target.endsWith(".md"));
    const names = pages.map((target) => target.slice(target.lastIndexOf("/") + 1));
    for (const name of names) {
      const text = Deno.readTextFileSync(new URL(`../../../docs/${name}`, import.meta.url));
      for (const [, other = ""] of text.matchAll(/\]\(([a-z-]+\.md)/g)) {
        assert.ok(names.includes(other), `${name} refers to ${other}, which is not packaged`);
      }
    }
    assert.ok(names.includes("operating.md"));
  }
});

Deno.test("the runtime is where the program of its layout looks for it", () => {
  assert.equal(installedRuntime("diverted"), "/usr/lib/virtlockd/deno");
  assert.equal(installedRuntime("linked"), "/usr/libexec/deno-virtlockd/deno");
  for (const layout of ["diverted", "linked"] as const) {
    assert.ok(targets(layout).includes(installedRuntime(layout).slice(1)));
  }
  const alone = packageFiles("linked", { ...PROGRAM, runtime: undefined });
  assert.ok(!alone.some(({ target }) => target === installedRuntime("linked").slice(1)));
});

Deno.test("no package has a file where libvirt's packages have theirs, unless it is diverted", () => {
  const libvirts =
    /^(usr\/)?(sbin|lib\/systemd\/system|share\/augeas\/lenses|share\/man\/man8)\/virtlockd(?!-exporter|-deputy|\.service\.d)/;
  assert.deepEqual(targets("linked").filter((target) => libvirts.test(target)), []);
  assert.deepEqual(targets("diverted").filter((target) => libvirts.test(target)), [
    "usr/sbin/virtlockd",
    "usr/share/augeas/lenses/virtlockd.aug",
    "usr/share/man/man8/virtlockd.8.gz",
  ]);
});
