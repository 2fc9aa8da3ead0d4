import assert from "node:assert/strict";
import { VERSION } from "../../../src/chassis/config/build_config.ts";
import { debianChangelog, packageVersion, rpmChangelog } from "../../../packaging/changelog.ts";
import { manifestVersion } from "../../../packaging/program_version.ts";
import { specFile } from "../../../packaging/spec_file.ts";

const ROOT = new URL("../../..", import.meta.url).pathname;

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
  const version = new RegExp(`(?<![\\d.])${RegExp.escape(VERSION)}(?![\\d.]\\d)`);
  const paths = ["docs", "man", "conf", "packaging", "src"].flatMap((
    directory,
  ) => [...walk(`${ROOT}${directory}`)]).concat(
    `${ROOT}README.md`,
    `${ROOT}CONTRIBUTING.md`,
    `${ROOT}main.ts`,
  );
  for (const path of paths) {
    if (path.endsWith("packaging/deb/changelog")) continue;
    if (version.test(Deno.readTextFileSync(path))) written.push(path.slice(ROOT.length));
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
