import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { packDeb } from "../../../packaging/build_deb.ts";
import { debianChangelog, packageTime } from "../../../packaging/changelog.ts";
import { text } from "../../../packaging/files.ts";
import { stageFiles } from "../../../packaging/stage.ts";
import { hasTool } from "../../../packaging/tool.ts";

Deno.test("packageTime() is that of the newest entry of the changelog", () => {
  const date = /^ -- .*> {2}(.+)$/m.exec(debianChangelog())?.[1];
  assert.equal(new Date(packageTime() * 1000).toUTCString(), date?.replace("+0000", "GMT"));
});

Deno.test({
  name: "packDeb() makes the same package of the same files, whenever they were made",
  ignore: !hasTool("dpkg-deb"),
  fn: () => {
    const directory = mkdtempSync("/tmp/pack-deb-");
    try {
      const build = (name: string, time: number) => {
        const stage = join(directory, name);
        const control =
          "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: N <n@example.org>\nDescription: x\n";
        stageFiles(stage, [text("usr/share/x/x", "x"), text("DEBIAN/control", control)]);
        Deno.utimeSync(join(stage, "usr/share/x/x"), time, time);
        packDeb(stage, `${stage}.deb`);
        return readFileSync(`${stage}.deb`);
      };
      assert.deepEqual(build("a", 2_000_000_000), build("b", 2_000_000_100));
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
});
