import assert from "node:assert/strict";
import { EINVAL, ENOENT, ENOTDIR } from "../../../../src/os/errno.ts";
import { MountTree } from "../../../../src/lockd/storage/mount_tree.ts";
import { locationOf, placeOf } from "../../../../src/lockd/storage/placement.ts";
import { mount } from "../../../support/storage_fixture.ts";

const ROOT = mount({ id: 1, parent: 0, device: 1, point: "/", type: "ext4" });
const NFS = mount({ id: 2, parent: 1, device: 2, point: "/net", type: "nfs4" });
const VAR = mount({ id: 3, parent: 1, device: 3, point: "/var", type: "xfs" });
const SSH = mount({ id: 4, parent: 3, device: 4, point: "/var/ssh", type: "fuse.sshfs" });
const TREE = new MountTree([ROOT, NFS, VAR, SSH]);

/** Links by path; every other path under the root is a directory, except below /absent and /file. */
function place(path: string, links: Record<string, string> = {}, tree = TREE): string | undefined {
  const asked: string[] = [];
  const readlink = (name: string): string | number => {
    asked.push(name);
    if (name.startsWith("/absent")) return -ENOENT;
    if (name.startsWith("/file/")) return -ENOTDIR;
    return links[name] ?? -EINVAL;
  };
  const found = placeOf({ readlink }, tree, path)?.point;
  assert.deepEqual(asked.filter((name) => /^(\/net|\/var\/ssh)(\/|$)/.test(name)), [], "storage was touched");
  return found;
}

Deno.test("placeOf() asks the filesystem nothing when no mount may hang", () => {
  const local = new MountTree([ROOT, VAR]);
  const readlink = () => assert.fail("asked");
  assert.equal(placeOf({ readlink }, local, "/var/lib/disk"), undefined);
});

const PLACES: [path: string, place: string | undefined][] = [
  ["/var/lib/disk", undefined],
  ["/net", "/net"],
  ["/net/", "/net"],
  ["/net/a/b", "/net"],
  ["/network/a", undefined],
  ["/var/ssh/a", "/var/ssh"],
  ["//net//a", "/net"],
  ["/./net/./a", "/net"],
  ["/a/../net/x", "/net"],
  ["/../net/x", "/net"],
  // The kernel enters it before it comes to the dots.
  ["/net/../a", "/net"],
  // The parents of a lockspace directory are made one after the other.
  ["/absent/../net/x", "/net"],
  ["/absent/x", undefined],
  ["/file/x/../../net", undefined],
  ["", undefined],
  ["/", undefined],
];
for (const [path, expected] of PLACES) {
  Deno.test(`placeOf() finds ${expected ?? "no mount"} for '${path}'`, () => {
    assert.equal(place(path), expected);
  });
}

const LINKS: [links: Record<string, string>, path: string, place: string | undefined][] = [
  [{ "/a": "/net" }, "/a/disk", "/net"],
  [{ "/a": "net" }, "/a/disk", "/net"],
  [{ "/var/lib": "../net/x" }, "/var/lib/disk", "/net"],
  [{ "/var/lib/disk": "../ssh/disk" }, "/var/lib/disk", "/var/ssh"],
  [{ "/a": "/b", "/b": "/c/d", "/c": "/net" }, "/a", "/net"],
  [{ "/a": "/var/x" }, "/a/../../net", "/net"],
  [{ "/a": "/var/x" }, "/a/../ssh", "/var/ssh"],
  [{ "/a": "/local" }, "/a/disk", undefined],
  [{ "/a": "/a" }, "/a/disk", undefined],
];
for (const [links, path, expected] of LINKS) {
  Deno.test(`placeOf() finds ${expected ?? "no mount"} for ${path} with ${JSON.stringify(links)}`, () => {
    assert.equal(place(path, links), expected);
  });
}

Deno.test("placeOf() follows 40 links and no more", () => {
  const chain = (length: number) =>
    Object.fromEntries(
      Array.from({ length }, (_, index) => [`/l${index}`, index === length - 1 ? "/net" : `/l${index + 1}`]),
    );
  assert.equal(place("/l0", chain(40)), "/net");
  assert.equal(place("/l0", chain(41)), undefined);
});

Deno.test("placeOf() starts at the working directory for a relative path", () => {
  assert.equal(place("disk", { "/proc/self/cwd": "/net/dir" }), "/net");
  assert.equal(place("../net/disk", { "/proc/self/cwd": "/home" }), "/net");
  assert.equal(place("disk", { "/proc/self/cwd": "/home" }), undefined);
});

Deno.test("placeOf() finds a local mount that hides storage", () => {
  const cover = mount({ id: 9, parent: 2, device: 9, point: "/net", type: "tmpfs" });
  const readlink = () => -EINVAL;
  assert.equal(placeOf({ readlink }, new MountTree([ROOT, NFS, cover]), "/net/disk"), undefined);
});

Deno.test("placeOf() leaves a path that is too long to the kernel", () => {
  assert.equal(place(`/net/${"x".repeat(4091)}`), undefined);
  assert.equal(place(`/net/${"x".repeat(4090)}`), "/net");
});

const BOUND = mount({ id: 5, parent: 1, device: 3, point: "/bound", root: "/lib/locks", type: "xfs" });
const WITH_BIND = new MountTree([ROOT, NFS, VAR, SSH, BOUND]);

const LOCATIONS: [path: string, location: string | undefined][] = [
  ["/a/b", "1:/a/b"],
  ["/", "1:/"],
  ["//a/./b/../c/", "1:/a/c"],
  ["/var/lib/locks/x", "3:/lib/locks/x"],
  ["/bound/x", "3:/lib/locks/x"],
  ["/bound", "3:/lib/locks"],
  ["/link/locks/x", "3:/lib/locks/x"],
  ["/link/locks/absent", "3:/lib/locks/absent"],
  // Links on storage that may hang are not followed.
  ["/net/link/../x", "2:/x"],
  ["/to-net/x", "2:/locks/x"],
  ["/file/x", undefined],
];
for (const [path, expected] of LOCATIONS) {
  Deno.test(`locationOf() calls '${path}' ${expected}`, () => {
    const links: Record<string, string> = { "/link": "/var/lib", "/to-net": "net/locks" };
    const readlink = (name: string): string | number => {
      assert.doesNotMatch(name, /^\/net(\/|$)/, "storage was touched");
      if (name.endsWith("/absent")) return -ENOENT;
      if (name.startsWith("/file/")) return -ENOTDIR;
      return links[name] ?? -EINVAL;
    };
    assert.equal(locationOf({ readlink }, WITH_BIND, path), expected);
  });
}
