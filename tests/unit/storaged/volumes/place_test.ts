import assert from "node:assert/strict";
import { O_RDWR } from "../../../../src/os/constants.ts";
import { storageSys } from "../../../../src/os/storage_sys.ts";
import {
  atPlace,
  openFile,
  type OpenPlace,
  type PlaceIdentity,
} from "../../../../src/storaged/volumes/place.ts";
import { kernel } from "../../../support/kernel.ts";
import { Scratch } from "../../../support/scratch.ts";

const STORAGE = storageSys();

/** Works in a directory as a daemon of that user. */
function at<Result>(
  path: string,
  uid: number,
  work: (place: OpenPlace) => Result,
  identity?: PlaceIdentity,
) {
  return atPlace({ ...kernel, uid: () => uid }, STORAGE, { path, identity }, work);
}

/** What is known of directories that belong to somebody. */
function owned(uid: number, gid: number): typeof STORAGE {
  return new Proxy(STORAGE, {
    get: (target, name) => {
      if (name !== "descriptorFacts") return Reflect.get(target, name).bind(target);
      return (fd: number) => {
        const facts = target.descriptorFacts(fd);
        return typeof facts === "number" ? facts : { ...facts, uid, gid };
      };
    },
  });
}

function linksOf(path: string, daemon: number, owner: number, group: number): string {
  const sys = { ...kernel, uid: () => daemon };
  const found = atPlace(sys, owned(owner, group), { path, identity: undefined }, ({ links }) => links);
  return found.kind === "done" ? found.value : found.kind;
}

Deno.test("links are followed by root only in directories into which nobody else may put any", () => {
  using scratch = new Scratch();
  const links = (mode: number, daemon: number, owner: number, group: number) => {
    Deno.chmodSync(scratch.path, mode);
    return linksOf(scratch.path, daemon, owner, group);
  };
  assert.equal(links(0o711, 0, 0, 0), "followed");
  assert.equal(links(0o775, 0, 0, 0), "followed");
  assert.equal(links(0o775, 0, 0, 1000), "refused");
  assert.equal(links(0o777, 0, 0, 0), "refused");
  assert.equal(links(0o1777, 0, 0, 0), "refused");
  assert.equal(links(0o700, 0, 1000, 1000), "refused");
  // A user's own daemon may no more than that user.
  assert.equal(links(0o777, 1000, 1000, 1000), "followed");
});

Deno.test("openFile() follows no link where others may write, and says so", () => {
  using scratch = new Scratch();
  scratch.write("file");
  Deno.symlinkSync("file", scratch.file("link"));
  const open = (mode: number, name: string, uid: number) => {
    Deno.chmodSync(scratch.path, mode);
    const found = at(scratch.path, uid, (place) => {
      const fd = openFile(kernel, place, name, O_RDWR);
      if (fd >= 0) kernel.close(fd);
      return fd >= 0 ? "open" : fd;
    });
    return found.kind === "done" ? found.value : found.kind;
  };
  assert.equal(open(0o777, "file", 0), "open");
  assert.equal(open(0o777, "absent", 0), -2);
  assert.equal(open(0o700, "link", 1000), "open");
  assert.throws(() => open(0o777, "link", 0), {
    code: 55,
    message:
      "Requested operation is not valid: volume 'link' is a symbolic link, and others may write into " +
      `'${scratch.path}': it is not followed`,
  });
});

Deno.test("a place that is another one than it was is gone, and one that is not there too", () => {
  using scratch = new Scratch();
  const found = at(scratch.path, 0, ({ identity, path }) => ({ identity, path }));
  assert.ok(found.kind === "done");
  const { identity, path } = found.value;
  assert.equal(path, scratch.path);
  const again = (wanted: PlaceIdentity, where = scratch.path) => {
    const result = at(where, 0, () => "itself", wanted);
    return result.kind === "done" ? result.value : result.failure.message;
  };
  assert.equal(again(identity), "itself");
  const moved =
    `Requested operation is not valid: '${scratch.path}' is not on the storage that the pool was started with`;
  assert.equal(again({ ...identity, device: "0:0" }), moved);
  assert.equal(again({ ...identity, mount: "1" }), moved);
  assert.equal(
    again(identity, scratch.file("absent")),
    `cannot open directory '${scratch.file("absent")}': No such file or directory`,
  );
  assert.equal(
    again(identity, scratch.write("file")),
    `cannot open directory '${scratch.file("file")}': Not a directory`,
  );
});
