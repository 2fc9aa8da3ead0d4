import assert from "node:assert/strict";
import type { SocketRole } from "../../../../src/chassis/config/socket_role.ts";
import type { Listener } from "../../../../src/chassis/rpc/listener.ts";
import {
  adoptListener,
  type DaemonSocket,
  openSockets,
  socketRole,
} from "../../../../src/chassis/start/open_sockets.ts";
import { F_GETFD, F_GETFL, F_SETFD, O_NONBLOCK, SOCK_STREAM } from "../../../../src/os/constants.ts";
import { kernel } from "../../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";
import { Scratch } from "../../../support/scratch.ts";

/** A daemon with all kinds of sockets. */
const DAEMON = { name: "virtad", sockets: ["read-write", "read-only", "admin"] } as const;

/** A socket that listens on a path. */
function listening(path: string): number {
  const fd = kernel.socket(SOCK_STREAM, false);
  assert.equal(kernel.bind(fd, path), 0);
  assert.equal(kernel.listen(fd, 1), 0);
  return fd;
}

class Server {
  readonly listeners: Listener[] = [];

  listen(listener: Listener): void {
    this.listeners.push(listener);
  }
}

Deno.test("openSockets() makes each socket that is not there, with its own access", () => {
  using scratch = new Scratch();
  const before = openDescriptors();
  const [main, admin] = [new Server(), new Server()];
  const socket = (role: SocketRole, mode: number, server: Server): DaemonSocket => ({
    role,
    path: scratch.file(role),
    access: { mode, group: undefined },
    server,
  });
  const sockets = [
    socket("read-write", 0o770, main),
    socket("read-only", 0o777, main),
    socket("admin", 0o700, admin),
  ];
  openSockets(kernel, DAEMON, sockets, [], (open) => open());
  assert.deepEqual(main.listeners.map(({ role, unlink }) => [role, unlink]), [
    ["read-write", true],
    ["read-only", true],
  ]);
  const modes = sockets.map(({ path }) => (Deno.lstatSync(path).mode ?? 0) & 0o7777);
  assert.deepEqual(modes, [0o770, 0o777, 0o700]);
  // What an earlier image has left is not made again.
  openSockets(kernel, DAEMON, sockets, [], (open) => open());
  assert.deepEqual([main.listeners.length, admin.listeners.length], [2, 1]);
  for (const { fd } of [...main.listeners, ...admin.listeners]) kernel.close(fd);
  assert.deepEqual(openedSince(before), []);
});

Deno.test("openSockets() takes the service manager's sockets, and makes only the others", () => {
  using scratch = new Scratch();
  const [main, admin] = [new Server(), new Server()];
  const access = { mode: 0o700, group: undefined };
  const sockets: DaemonSocket[] = [
    { role: "read-write", path: scratch.file("main"), access, server: main },
    { role: "admin", path: scratch.file("admin"), access, server: admin },
  ];
  const given = listening(scratch.file("given"));
  const file = kernel.open("/dev/null", 0, 0);
  const descriptors = [{ fd: file, name: "journal" }, { fd: given, name: "virtad-admin.socket" }];
  openSockets(
    kernel,
    { name: "virtad", sockets: ["read-write", "admin"] },
    sockets,
    descriptors,
    (open) => open(),
  );
  assert.deepEqual(main.listeners.map(({ path }) => path), [scratch.file("main")]);
  assert.deepEqual(admin.listeners, [
    { fd: given, role: "admin", path: scratch.file("given"), access, unlink: false },
  ]);
  for (const fd of [file, given, ...main.listeners.map((each) => each.fd)]) kernel.close(fd);
});

Deno.test("openSockets() goes on when its caller can do without a socket", () => {
  using scratch = new Scratch();
  const server = new Server();
  const access = { mode: 0o700, group: undefined };
  const sockets: DaemonSocket[] = [
    { role: "read-write", path: `${scratch.path}/absent/socket`, access, server },
    { role: "admin", path: scratch.file("admin"), access, server },
  ];
  const failures: string[] = [];
  openSockets(kernel, DAEMON, sockets, [], (open) => {
    try {
      open();
    } catch (error) {
      failures.push(error instanceof Error ? error.name : "");
    }
  });
  assert.deepEqual([failures, server.listeners.map(({ role }) => role)], [["StartError"], ["admin"]]);
  for (const { fd } of server.listeners) kernel.close(fd);
});

Deno.test("socketRole() goes by the name, and without one by the path", () => {
  using scratch = new Scratch();
  const any = listening(scratch.file("any"));
  const named = (name: string) => socketRole(kernel, any, name, DAEMON);
  assert.deepEqual(["virtad.socket", "virtad-ro.socket", "virtad-admin.socket"].map(named), [
    "read-write",
    "read-only",
    "admin",
  ]);
  assert.deepEqual(["virtbd-admin.socket", ""].map(named), ["read-write", "read-write"]);
  kernel.close(any);
  for (
    const [file, role] of [["x-sock", "read-write"], ["x-sock-ro", "read-only"], ["x-admin-sock", "admin"]]
  ) {
    const fd = listening(scratch.file(file ?? ""));
    assert.equal(socketRole(kernel, fd, "", DAEMON), role);
    kernel.close(fd);
  }
});

Deno.test("socketRole() gives none to what is no listening socket", () => {
  const fd = kernel.socket(SOCK_STREAM, false);
  assert.equal(socketRole(kernel, fd, "virtad.socket", DAEMON), undefined);
  kernel.close(fd);
  assert.equal(socketRole(kernel, fd, "virtad.socket", DAEMON), undefined);
  const file = kernel.open("/dev/null", 0, 0);
  assert.equal(socketRole(kernel, file, "virtad.socket", DAEMON), undefined);
  kernel.close(file);
});

Deno.test("adoptListener() makes an inherited socket close-on-exec and non-blocking", () => {
  using scratch = new Scratch();
  const path = scratch.file("socket");
  const fd = listening(path);
  kernel.fcntl(fd, F_SETFD, 0);
  const access = { mode: 0o777, group: "libvirt" };
  const adopted = adoptListener(kernel, fd, { role: "read-only", access });
  assert.deepEqual(adopted, { fd, role: "read-only", path, access, unlink: false });
  assert.equal(kernel.fcntl(fd, F_GETFD, 0), 1);
  assert.notEqual(kernel.fcntl(fd, F_GETFL, 0) & O_NONBLOCK, 0);
  kernel.close(fd);
});
