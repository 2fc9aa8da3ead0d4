import assert from "node:assert/strict";
import { DiskNames } from "../../../../../src/lockd/cli/guests/disk_names.ts";
import { diskLockName } from "../../../../../src/lockd/cli/guests/disk_name.ts";
import { diskXml, domainXml, FakeHost, guestProcess } from "../checks/check_fixture.ts";
import { lock } from "../cli_fixture.ts";

/** A lock named after a path, of the process 40 + id. */
function hashed(id: number, path: string) {
  return lock({ id, resource: diskLockName(path) });
}

Deno.test("DiskNames knows disks of guests that run or are defined, and files that an owner has open", () => {
  using fake = new FakeHost({
    "/etc/libvirt/qemu/a.xml": domainXml("a", [diskXml("file='/img/defined'")]),
    ...guestProcess(30, "b", [diskXml("file='/img/attached'")]),
    "/proc/43/fd/3": { link: "/img/open" },
    "/proc/43/fd/4": { link: "socket:[1]" },
  });
  const locks = [
    hashed(1, "/img/defined"),
    hashed(2, "/img/attached"),
    hashed(3, "/img/open"),
    hashed(4, "/img/unknown"),
    lock({ id: 5 }),
    { ...hashed(6, "/img/open"), lockspace: "" },
  ];
  assert.deepEqual(new DiskNames(fake.host).name(locks).map(({ disk }) => disk), [
    "/img/defined",
    "/img/attached",
    "/img/open",
    undefined,
    undefined,
    undefined,
  ]);
});

Deno.test("DiskNames looks for each lock once, and for one that came later, too", () => {
  using fake = new FakeHost({ "/etc/libvirt/qemu/": "" });
  const names = new DiskNames(fake.host);
  const old = hashed(1, "/img/old");
  assert.deepEqual(names.name([old]).map(({ disk }) => disk), [undefined]);
  const xml = domainXml("a", [diskXml("file='/img/new'")]);
  Deno.writeTextFileSync(`${fake.root}/etc/libvirt/qemu/a.xml`, xml);
  assert.deepEqual(names.name([old, hashed(2, "/img/new")]).map(({ disk }) => disk), [undefined, "/img/new"]);
});
