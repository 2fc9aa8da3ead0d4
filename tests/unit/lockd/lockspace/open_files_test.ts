import assert from "node:assert/strict";
import { hasOpenForWriting, type SoughtFile } from "../../../../src/lockd/lockspace/open_files.ts";
import { identityOf } from "../../../../src/lockd/lockspace/file_identity.ts";
import { emptyStatus } from "../../../../src/os/sys.ts";
import { kernel } from "../../../support/kernel.ts";

/** Hash of "/disk with a name", as `printf %s "/disk with a name" | sha256sum` prints it. */
const HASH = "f6994812808c1de75df39ebe2eef198a4a15643c9bcf719f5391b02d20ac41d1";

function sought(path: string): SoughtFile {
  const status = emptyStatus();
  kernel.stat(path, status);
  return { lockspace: "", name: path, path, identity: identityOf(status) };
}

Deno.test("hasOpenForWriting() finds a file that a process has open for writing, by whatever name", () => {
  const directory = Deno.makeTempDirSync();
  const [path, alias] = [`${directory}/disk`, `${directory}/alias`];
  Deno.writeTextFileSync(path, "");
  Deno.linkSync(path, alias);
  assert.equal(hasOpenForWriting(kernel, Deno.pid, sought(path)), "not-open");
  {
    using _reader = Deno.openSync(path);
    assert.equal(hasOpenForWriting(kernel, Deno.pid, sought(path)), "not-open");
  }
  using _writer = Deno.openSync(alias, { read: true, write: true });
  assert.equal(hasOpenForWriting(kernel, Deno.pid, sought(path)), "open");
  const { identity: _, ...unknown } = sought(path);
  assert.equal(hasOpenForWriting(kernel, Deno.pid, unknown), "unknown");
  assert.equal(hasOpenForWriting(kernel, Deno.pid, { ...unknown, path: alias }), "open");
  Deno.removeSync(directory, { recursive: true });
});

Deno.test("hasOpenForWriting() says of a lock directory's file only that the disk is open whose hash is its name", () => {
  const sys = {
    ...kernel,
    listDirectory: () => ["7"],
    readlink: () => "/disk with a name",
    open: () => 70,
    read: (_fd: number, into: Uint8Array) =>
      new TextEncoder().encodeInto("flags:\t0100002\nino:\t5\n", into).written,
    close: () => 0,
  };
  const lease = { lockspace: "/leases", name: HASH, path: `/leases/${HASH}` };
  assert.equal(hasOpenForWriting(sys, 42, lease), "open");
  assert.equal(hasOpenForWriting(sys, 42, { ...lease, name: "another" }), "unknown");
});

Deno.test("hasOpenForWriting() is sure of nothing about devices, on old kernels, and of processes that it may not look into", () => {
  const lines = { text: "flags:\t0100002\n" };
  const sys = {
    ...kernel,
    listDirectory: (path: string) => path === "/proc/42/fd" ? ["7"] : -13,
    readlink: () => "/elsewhere",
    open: () => 70,
    read: (_fd: number, into: Uint8Array) => new TextEncoder().encodeInto(lines.text, into).written,
    close: () => 0,
  };
  const identity = { devMajor: 8, devMinor: 1, inodeLow: 5, inodeHigh: 0 };
  const disk = { lockspace: "", name: "/disk", path: "/disk", identity };
  assert.equal(hasOpenForWriting(sys, 42, disk), "unknown");
  lines.text = "flags:\t0100002\nino:\t6\n";
  assert.equal(hasOpenForWriting(sys, 42, disk), "not-open");
  assert.equal(hasOpenForWriting(sys, 42, { ...disk, path: "/dev/vg/lv" }), "unknown");
  assert.equal(hasOpenForWriting(sys, 43, disk), "unknown");
  // Its descriptors can be listed, and no more.
  assert.equal(hasOpenForWriting({ ...sys, open: () => -13, readlink: () => -13 }, 42, disk), "unknown");
  assert.equal(hasOpenForWriting({ ...sys, open: () => -2, readlink: () => -2 }, 42, disk), "not-open");
});
