import { VIRTLOCKD } from "../../../../src/lockd/identity/identity.ts";
import assert from "node:assert/strict";
import {
  adoptListener,
  listenOn,
  makeRunDirectory,
  refuseServed,
  socketRole,
} from "../../../../src/chassis/start/sockets.ts";
import { StartError } from "../../../../src/chassis/start/start_error.ts";
import { F_GETFD, F_GETFL, F_SETFD, O_NONBLOCK, SOCK_STREAM } from "../../../../src/os/constants.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { kernel } from "../../../support/kernel.ts";
import { Scratch } from "../../../support/scratch.ts";

function refused(code: number, message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof StartError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  };
}

const NAMES = VIRTLOCKD.socketNames;

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
  const listener = listenOn(kernel, path);
  assert.deepEqual(listener, { fd: listener.fd, path, unlink: true });
  assert.equal((Deno.lstatSync(path).mode ?? 0) & 0o7777, 0o700);
  assert.equal(kernel.accept(listener.fd), -11);
  assert.equal(socketRole(kernel, listener.fd, "", NAMES, ""), "main");
  kernel.close(listener.fd);
});

Deno.test("listenOn() replaces a dead daemon's socket, and a link", () => {
  using scratch = new Scratch();
  const path = scratch.file("socket");
  kernel.close(listenOn(kernel, path).fd);
  kernel.close(listenOn(kernel, path).fd);
  Deno.removeSync(path);
  const victim = scratch.write("victim", "precious");
  Deno.symlinkSync(victim, path);
  kernel.close(listenOn(kernel, path).fd);
  assert.equal(Deno.readTextFileSync(victim), "precious");
});

Deno.test("listenOn() and refuseServed() leave a socket alone on which somebody listens", () => {
  using scratch = new Scratch();
  const path = scratch.file("socket");
  const { fd } = listenOn(kernel, path);
  const message = /^Bind socket .*\/socket: another daemon listens there$/;
  assert.throws(() => listenOn(kernel, path), refused(6, message));
  assert.throws(() => refuseServed(kernel, path), refused(6, message));
  // With a full backlog it is alive, too.
  assert.throws(() => refuseServed({ ...kernel, connect: () => -11 }, path), refused(6, message));
  kernel.close(fd);
  refuseServed(kernel, path);
  refuseServed(kernel, scratch.file("absent"));
});

Deno.test("listenOn() throws with the code of the sockets", () => {
  using scratch = new Scratch();
  const path = scratch.file("socket");
  const failing = (name: keyof Sys, errno: number): Sys => ({ ...kernel, [name]: () => -errno });
  assert.throws(
    () => listenOn(failing("socket", 24), path),
    refused(6, /^Create socket .*: Too many open files/),
  );
  assert.throws(
    () => listenOn(failing("bind", 30), path),
    refused(6, /^Bind socket .*: Read-only file system/),
  );
  assert.throws(
    () => listenOn(failing("listen", 98), path),
    refused(6, /^Listen on socket .*: Address already in use/),
  );
  const long = scratch.file("x".repeat(120));
  assert.throws(() => listenOn(kernel, long), refused(6, /^Bind socket .*: File name too long/));
});

Deno.test("socketRole() goes by the name, and without one by the path", () => {
  using scratch = new Scratch();
  const { fd } = listenOn(kernel, scratch.file("any"));
  assert.equal(socketRole(kernel, fd, "virtlockd.socket", NAMES, "/x"), "main");
  assert.equal(socketRole(kernel, fd, "virtlockd-admin.socket", NAMES, "/x"), "admin");
  assert.equal(socketRole(kernel, fd, "unknown", NAMES, "/x"), "main");
  assert.equal(socketRole(kernel, fd, "", NAMES, scratch.file("any")), "admin");
  kernel.close(fd);
  const admin = listenOn(kernel, scratch.file("virtlockd-admin-sock"));
  assert.equal(socketRole(kernel, admin.fd, "", NAMES, "/x"), "admin");
  kernel.close(admin.fd);
});

Deno.test("socketRole() gives none to what is no listening socket", () => {
  const fd = kernel.socket(SOCK_STREAM, false);
  assert.equal(socketRole(kernel, fd, "virtlockd.socket", NAMES, "/x"), undefined);
  kernel.close(fd);
  assert.equal(socketRole(kernel, fd, "virtlockd.socket", NAMES, "/x"), undefined);
  const file = kernel.open("/dev/null", 0, 0);
  assert.equal(socketRole(kernel, file, "virtlockd.socket", NAMES, "/x"), undefined);
  kernel.close(file);
});

Deno.test("adoptListener() makes an inherited socket close-on-exec and non-blocking", () => {
  using scratch = new Scratch();
  const path = scratch.file("socket");
  const fd = kernel.socket(SOCK_STREAM, false);
  kernel.bind(fd, path);
  kernel.listen(fd, 1);
  kernel.fcntl(fd, F_SETFD, 0);
  assert.deepEqual(adoptListener(kernel, fd), { fd, path, unlink: false });
  assert.equal(kernel.fcntl(fd, F_GETFD, 0), 1);
  assert.notEqual(kernel.fcntl(fd, F_GETFL, 0) & O_NONBLOCK, 0);
  kernel.close(fd);
});
