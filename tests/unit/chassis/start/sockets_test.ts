import assert from "node:assert/strict";
import { listenOn, makeRunDirectory, refuseServed } from "../../../../src/chassis/start/sockets.ts";
import { StartError } from "../../../../src/chassis/start/start_error.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { kernel } from "../../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";
import { Scratch } from "../../../support/scratch.ts";

function refused(code: number, message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof StartError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  };
}

/** A socket for the daemon's own user. */
function own(path: string) {
  return { role: "read-write", path, access: { mode: 0o700, group: undefined } } as const;
}

Deno.test("makeRunDirectory() makes a directory with its parents, and leaves one that is there", () => {
  using scratch = new Scratch();
  makeRunDirectory(kernel, scratch.file("a/b"), 0o750);
  assert.equal((Deno.statSync(scratch.file("a/b")).mode ?? 0) & 0o7777, 0o750);
  makeRunDirectory(kernel, scratch.file("a/b"), 0o700);
  assert.equal((Deno.statSync(scratch.file("a/b")).mode ?? 0) & 0o7777, 0o750);
});

Deno.test("makeRunDirectory() throws with the code of the run directory", () => {
  using scratch = new Scratch();
  const path = `${scratch.write("file")}/run`;
  assert.throws(
    () => makeRunDirectory(kernel, path, 0o700),
    refused(2, /^Create run directory .*\/file\/run: Not a directory \(ENOTDIR\)$/),
  );
});

Deno.test("listenOn() listens with mode 0700 and does not wait", () => {
  using scratch = new Scratch();
  const path = scratch.file("socket");
  const listener = listenOn(kernel, own(path));
  assert.deepEqual(listener, { ...own(path), fd: listener.fd, unlink: true });
  assert.equal((Deno.lstatSync(path).mode ?? 0) & 0o7777, 0o700);
  assert.equal(kernel.accept(listener.fd), -11);
  kernel.close(listener.fd);
});

Deno.test("listenOn() replaces a dead daemon's socket, and a link", () => {
  using scratch = new Scratch();
  const path = scratch.file("socket");
  kernel.close(listenOn(kernel, own(path)).fd);
  kernel.close(listenOn(kernel, own(path)).fd);
  Deno.removeSync(path);
  const victim = scratch.write("victim", "precious");
  Deno.symlinkSync(victim, path);
  kernel.close(listenOn(kernel, own(path)).fd);
  assert.equal(Deno.readTextFileSync(victim), "precious");
});

Deno.test("listenOn() and refuseServed() leave a socket alone on which somebody listens", () => {
  using scratch = new Scratch();
  const path = scratch.file("socket");
  const { fd } = listenOn(kernel, own(path));
  const message = /^Bind socket .*\/socket: another daemon listens there$/;
  assert.throws(() => listenOn(kernel, own(path)), refused(6, message));
  assert.throws(() => refuseServed(kernel, path), refused(6, message));
  // With a full backlog it is alive, too.
  assert.throws(() => refuseServed({ ...kernel, connect: () => -11 }, path), refused(6, message));
  kernel.close(fd);
  refuseServed(kernel, path);
  refuseServed(kernel, scratch.file("absent"));
});

Deno.test("listenOn() gives the socket its mode and its group before anybody can connect", () => {
  using scratch = new Scratch();
  const path = scratch.file("socket");
  const calls: unknown[] = [];
  const sys: Sys = {
    ...kernel,
    groupId: (name) => (calls.push(["groupId", name]), 4711),
    lchown: (...args) => (calls.push(["lchown", ...args]), 0),
    listen: (fd, backlog) => {
      calls.push(["listen", (Deno.lstatSync(path).mode ?? 0) & 0o7777]);
      return kernel.listen(fd, backlog);
    },
  };
  const before = kernel.umask(0o022);
  const { fd } = listenOn(sys, { ...own(path), access: { mode: 0o776, group: "libvirt" } });
  assert.deepEqual(calls, [["groupId", "libvirt"], ["lchown", path, -1, 4711], ["listen", 0o776]]);
  assert.equal(kernel.umask(before), 0o022);
  kernel.close(fd);
});

Deno.test("listenOn() refuses a group that is not there, or that may not be given", () => {
  using scratch = new Scratch();
  const path = scratch.file("socket");
  const before = openDescriptors();
  const access = { mode: 0o770, group: "nobody-has-this-group" };
  const wanted = /^Find the group nobody-has-this-group of the socket .*: No such file or directory/;
  assert.throws(() => listenOn(kernel, { ...own(path), access }), refused(6, wanted));
  assert.throws(
    () => listenOn({ ...kernel, lchown: () => -1 }, { ...own(path), access: { mode: 0o770, group: "0" } }),
    refused(6, /^Change the group of the socket .*: Operation not permitted/),
  );
  assert.deepEqual(openedSince(before), []);
});

Deno.test("listenOn() throws with the code of the sockets", () => {
  using scratch = new Scratch();
  const path = scratch.file("socket");
  const failing = (name: keyof Sys, errno: number): Sys => ({ ...kernel, [name]: () => -errno });
  assert.throws(
    () => listenOn(failing("socket", 24), own(path)),
    refused(6, /^Create socket .*: Too many open files/),
  );
  assert.throws(
    () => listenOn(failing("bind", 30), own(path)),
    refused(6, /^Bind socket .*: Read-only file system/),
  );
  assert.throws(
    () => listenOn(failing("listen", 98), own(path)),
    refused(6, /^Listen on socket .*: Address already in use/),
  );
  const long = scratch.file("x".repeat(120));
  assert.throws(() => listenOn(kernel, own(long)), refused(6, /^Bind socket .*: File name too long/));
});
