import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { PackageFile } from "../../../packaging/files.ts";
import { storageFiles, type StorageLayout } from "../../../packaging/storage_files.ts";
import { ROOT } from "../../../packaging/tool.ts";

const PROGRAM = { executable: "/x/virtstoraged", runtime: "/x/deno" };

function textOf({ content }: PackageFile): string {
  return "source" in content ? readFileSync(content.source, "utf8") : content.text;
}

/** Texts of the daemon's units. The exporter mounts nothing, and is confined. */
const UNITS = storageFiles("alone", PROGRAM)
  .filter(({ target }) => target.startsWith("usr/lib/systemd/system/") && !target.includes("exporter"))
  .map(textOf);

Deno.test("by itself the package has program, runtime, units and configuration, and nothing of the lock daemon", () => {
  const targets = storageFiles("alone", PROGRAM).map(({ target }) => target);
  assert.deepEqual(targets.filter((target) => !target.startsWith("usr/share/")), [
    "usr/sbin/virtstoraged",
    "usr/lib/virtstoraged/deno",
    "usr/lib/systemd/system/virtstoraged-exporter.service",
    "usr/lib/systemd/system/virtstoraged.service",
    "usr/lib/systemd/system/virtstoraged.socket",
    "usr/lib/systemd/system/virtstoraged-ro.socket",
    "usr/lib/systemd/system/virtstoraged-admin.socket",
    "etc/libvirt/virtstoraged.conf",
  ]);
  assert.deepEqual(targets.filter((target) => target.includes("virtlockd")), []);
});

Deno.test("beside libvirt's own it has a program elsewhere and a drop-in that runs it", () => {
  const targets = storageFiles("beside", PROGRAM).map(({ target }) => target);
  assert.deepEqual(targets.filter((target) => !target.startsWith("usr/share/")), [
    "usr/libexec/deno-virtstoraged/virtstoraged",
    "usr/libexec/deno-virtstoraged/deno",
    "usr/lib/systemd/system/virtstoraged-exporter.service",
    "usr/lib/systemd/system/virtstoraged.service.d/deno-virtstoraged.conf",
  ]);
  const dropIn = readFileSync(join(ROOT, "packaging/storage/deno-virtstoraged.conf"), "utf8");
  assert.match(
    dropIn,
    /^ExecStart=\nExecStart=\/usr\/libexec\/deno-virtstoraged\/virtstoraged \$VIRTSTORAGED_ARGS$/m,
  );
});

Deno.test("the exporter's unit runs the program where it is", () => {
  const unit = (layout: StorageLayout) =>
    storageFiles(layout, PROGRAM).filter(({ target }) => target.endsWith("-exporter.service")).map(textOf)
      .join();
  assert.match(unit("alone"), /^ExecStart=\/usr\/sbin\/virtstoraged exporter /m);
  assert.match(unit("beside"), /^ExecStart=\/usr\/libexec\/deno-virtstoraged\/virtstoraged exporter /m);
});

Deno.test("no unit makes a mount namespace: mounts are for the whole host", () => {
  const namespaces = new RegExp(
    "^(?:PrivateTmp|PrivateMounts|PrivateDevices|ProtectSystem|ProtectHome|ProtectKernel\\w+|ProtectControlGroups|" +
      "ProtectProc|ReadOnlyPaths|ReadWritePaths|InaccessiblePaths|TemporaryFileSystem|BindPaths|RootDirectory)=",
    "m",
  );
  assert.deepEqual(UNITS.filter((unit) => namespaces.test(unit)), []);
});

Deno.test("no unit stops libvirtd: any user's connect would do that", () => {
  assert.deepEqual(UNITS.filter((unit) => /^Conflicts=/m.test(unit)), []);
});

Deno.test("beside libvirt's own it has no file that libvirt's package has", () => {
  const shared = storageFiles("beside", PROGRAM).map(({ target }) => target)
    .filter((target) => target.startsWith("usr/share/"));
  const doc = "usr/share/doc/deno-virtstoraged/";
  assert.deepEqual(shared.filter((target) => !target.startsWith(doc)), [
    "usr/share/bash-completion/completions/virtstoraged",
    "usr/share/licenses/deno-virtstoraged/LICENSE",
  ]);
  for (const page of ["virtstoraged.8", "virtstoraged.conf.5", "virtstoraged.conf", "virtstoraged.aug"]) {
    assert.ok(shared.includes(doc + page), page);
  }
});
