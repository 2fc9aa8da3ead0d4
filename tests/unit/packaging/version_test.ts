import assert from "node:assert/strict";
import { VERSION } from "../../../src/chassis/config/build_config.ts";
import { debianChangelog, packageVersion, rpmChangelog } from "../../../packaging/changelog.ts";
import { manifestVersion } from "../../../packaging/program_version.ts";
import { specFile } from "../../../packaging/spec_file.ts";

const ROOT = new URL("../../../", import.meta.url).pathname;

Deno.test("the version is that of deno.json in the program and in the packages", () => {
  const version = manifestVersion();
  assert.match(version, /^\d+\.\d+\.\d+$/);
  assert.equal(VERSION, version);
  assert.match(packageVersion(), new RegExp(`^${RegExp.escape(version)}-\\d+$`));
  assert.match(debianChangelog(), new RegExp(`^deno-virtlockd \\(${RegExp.escape(version)}-\\d+\\) `));
  assert.match(specFile(), new RegExp(`^Version: +${RegExp.escape(version)}$`, "m"));
  assert.match(
    rpmChangelog(),
    new RegExp(`^\\* \\w{3} \\w{3} \\d\\d \\d{4} .*> - ${RegExp.escape(version)}-\\d+\n- `),
  );
});

Deno.test("no other file has the version written out", () => {
  const written: string[] = [];
  for (const directory of ["docs", "man", "conf", "packaging"]) {
    for (const path of walk(`${ROOT}${directory}`)) {
      if (path.endsWith("packaging/deb/changelog")) continue;
      const text = Deno.readTextFileSync(path);
      if (new RegExp(`(?<![\\d.])${RegExp.escape(VERSION)}(?![\\d.]\\d)`).test(text)) {
        written.push(path.slice(ROOT.length));
      }
    }
  }
  assert.deepEqual(written, []);
});

function* walk(directory: string): Generator<string> {
  for (const entry of Deno.readDirSync(directory)) {
    const path = `${directory}/${entry.name}`;
    if (entry.isDirectory) yield* walk(path);
    else yield path;
  }
}
