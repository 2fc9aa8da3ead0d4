import assert from "node:assert/strict";
import { EINVAL } from "../../../../src/os/errno.ts";
import { MountedPlaces } from "../../../../src/lockd/storage/mounted_places.ts";
import { type Mount, MountTree } from "../../../../src/lockd/storage/mount_tree.ts";
import { mount } from "../../../support/storage_fixture.ts";

const ROOT = mount({ id: 1, parent: 0, device: 1, point: "/", type: "ext4", source: "/dev/sda1" });
const NFS = mount({ id: 2, parent: 1, device: 2, point: "/net", type: "nfs4", source: "nas:/export" });
const VAR = mount({ id: 3, parent: 1, device: 3, point: "/var", type: "xfs", source: "/dev/sdb1" });
const AUTO = mount({ id: 4, parent: 1, device: 4, point: "/auto", type: "autofs", source: "systemd-1" });
const MOUNTED = mount({ id: 5, parent: 4, device: 5, point: "/auto", type: "nfs4", source: "nas:/auto" });

function places(mounts: readonly Mount[], links: Record<string, string> = {}) {
  const mountTable = {
    tree: new MountTree(mounts),
    refreshed: 0,
    refresh: () => void mountTable.refreshed++,
  };
  const found = new MountedPlaces({ readlink: (path) => links[path] ?? -EINVAL }, mountTable);
  return { mountTable, places: found };
}

/** What is found for a path, without what {@link Mount} has more. */
function place({ source, type, point, device }: Mount) {
  return { source, type, point, device };
}

Deno.test("MountedPlaces finds the file system of a directory, behind links too", () => {
  const { places: found } = places([ROOT, NFS, VAR], { "/l": "/var/x", "/var/y": "../net" });
  assert.deepEqual(found.placeOf("/etc"), place(ROOT));
  assert.deepEqual(found.placeOf("/"), place(ROOT));
  assert.deepEqual(found.placeOf("/var/lib/locks"), place(VAR));
  assert.deepEqual(found.placeOf("/l/locks"), place(VAR));
  assert.deepEqual(found.placeOf("/net/locks"), place(NFS));
  assert.deepEqual(found.placeOf("/var/y/locks"), place(NFS));
  assert.equal(found.placeOf(`/${"x".repeat(5000)}`), undefined);
});

Deno.test("MountedPlaces has the list of mounts read again when it is asked to", () => {
  const { mountTable, places: found } = places([ROOT]);
  found.refresh();
  assert.equal(mountTable.refreshed, 1);
});

Deno.test("MountedPlaces does not take an automatic mount point for a file system", () => {
  assert.equal(places([ROOT, AUTO]).places.placeOf("/auto/locks"), undefined);
  assert.deepEqual(places([ROOT, AUTO, MOUNTED]).places.placeOf("/auto/locks"), place(MOUNTED));
});

Deno.test("MountedPlaces says whether a file system is still where it was, below another one too", () => {
  const cover = mount({ id: 9, parent: 3, device: 9, point: "/var", type: "tmpfs", source: "tmpfs" });
  const { places: found } = places([ROOT, VAR, cover]);
  assert.deepEqual(found.placeOf("/var/lib"), place(cover));
  assert.equal(found.isMounted(place(VAR)), true);
  assert.equal(found.isMounted(place(NFS)), false);
  assert.equal(found.isMounted({ ...place(cover), device: 10 }), false);
  assert.equal(found.isMounted({ ...place(VAR), point: "/elsewhere" }), false);
});

Deno.test("MountedPlaces knows what other hosts may share, and has a generation for each list of mounts", () => {
  const { mountTable, places: found } = places([ROOT, NFS]);
  assert.deepEqual([NFS, ROOT, AUTO].map((each) => found.isShared(place(each))), [true, false, true]);
  const { generation } = found;
  assert.equal(found.generation, generation);
  mountTable.tree = new MountTree([ROOT]);
  assert.notEqual(found.generation, generation);
});
