import assert from "node:assert/strict";
import { F_GETFD, FD_CLOEXEC, SO_ACCEPTCONN, SOCK_DGRAM, SOCK_STREAM } from "../../../src/os/constants.ts";
import { EAGAIN, EBADF } from "../../../src/os/errno.ts";
import { kernel } from "../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../support/open_descriptors.ts";
import { Scratch } from "../../support/scratch.ts";

function pair(type = SOCK_STREAM): [number, number] {
  const made = kernel.socketPair(type);
  assert.ok(typeof made !== "number");
  return made;
}

function closeAll(...descriptors: number[]): void {
  for (const fd of descriptors) assert.equal(kernel.close(fd), 0);
}

Deno.test("SocketSys connects, accepts and knows the peer", () => {
  using scratch = new Scratch();
  for (const address of [scratch.file("socket"), `@${crypto.randomUUID()}`]) {
    const listener = kernel.socket(SOCK_STREAM, true);
    assert.equal(kernel.bind(listener, address), 0);
    assert.equal(kernel.listen(listener, 5), 0);
    assert.equal(kernel.accept(listener), -11);
    assert.equal(kernel.socketOption(listener, SO_ACCEPTCONN), 1);
    if (!address.startsWith("@")) assert.equal(kernel.socketPath(listener), address);
    const client = kernel.socket(SOCK_STREAM, false);
    assert.equal(kernel.connect(client, address), 0);
    const accepted = kernel.accept(listener);
    assert.equal(kernel.fcntl(accepted, F_GETFD, 0), FD_CLOEXEC);
    const peer = { pid: 0, uid: 0, gid: 0 };
    assert.equal(kernel.peerCredentials(accepted, peer), 0);
    assert.deepEqual(peer, { pid: Deno.pid, uid: kernel.uid(), gid: kernel.gid() });
    assert.equal(kernel.socketPath(client), "");
    closeAll(listener, client, accepted);
  }
});

Deno.test("SocketSys refuses an address that does not fit", () => {
  const fd = kernel.socket(SOCK_STREAM, true);
  const fits = `@${"x".repeat(107)}`;
  assert.equal(kernel.bind(fd, fits), 0);
  assert.equal(kernel.bind(fd, `${fits}x`), -36);
  assert.equal(kernel.connect(fd, `/${"x".repeat(107)}`), -36);
  assert.equal(kernel.connect(fd, "/nowhere/socket"), -2);
  closeAll(fd);
});

Deno.test("SocketSys passes descriptors, at most as many as the kernel takes", () => {
  const before = openDescriptors();
  const [near, far] = pair();
  const sent = Array.from({ length: 253 }, () => kernel.eventfd());
  assert.equal(kernel.sendMessage(near, new Uint8Array([1, 2]), sent), 2);
  const bytes = new Uint8Array(8);
  const received = kernel.receiveMessage(far, bytes, false);
  assert.ok(typeof received !== "number");
  assert.equal(received.length, 2);
  assert.deepEqual([...bytes.subarray(0, 2)], [1, 2]);
  assert.equal(received.descriptors.length, 253);
  assert.ok(received.descriptors.every((fd) => kernel.fcntl(fd, F_GETFD, 0) === FD_CLOEXEC));
  assert.equal(kernel.receiveMessage(far, bytes, false), -11);
  closeAll(...sent, ...received.descriptors, near, far);
  assert.deepEqual(openedSince(before), []);
});

Deno.test("SocketSys send() does not wait, and tells of a peer that is gone", () => {
  const [near, far] = pair();
  const chunk = new Uint8Array(100_000);
  let result = 0;
  while (result >= 0) result = kernel.send(near, chunk);
  assert.equal(result, -11);
  kernel.close(far);
  assert.equal(kernel.send(near, chunk), -32);
  const end = kernel.receiveMessage(near, new Uint8Array(1), true);
  assert.ok(typeof end === "number" ? end === -104 : end.length === 0);
  closeAll(near);
});

Deno.test("SocketSys shutdown() ends a connection for all copies of its descriptor", () => {
  const [near, far] = pair();
  assert.equal(kernel.shutdown(near), 0);
  assert.deepEqual(kernel.receiveMessage(far, new Uint8Array(1), true), { length: 0, descriptors: [] });
  closeAll(near, far);
});

Deno.test("SocketSys keeps the borders of datagrams", () => {
  const [near, far] = pair(SOCK_DGRAM);
  kernel.send(near, new Uint8Array(3));
  kernel.send(near, new Uint8Array(5));
  const lengths = [0, 0].map(() => {
    const received = kernel.receiveMessage(far, new Uint8Array(100), false);
    return typeof received === "number" ? received : received.length;
  });
  assert.deepEqual(lengths, [3, 5]);
  closeAll(near, far);
});

Deno.test("SocketSys.peek tells whether something came, may still come, or never will", () => {
  const [one, other] = pair();
  assert.equal(kernel.peek(one), -EAGAIN);
  kernel.send(other, new Uint8Array([7, 8]));
  // Nothing is taken out.
  assert.deepEqual([kernel.peek(one), kernel.peek(one)], [1, 1]);
  kernel.close(other);
  const read = new Uint8Array(4);
  assert.deepEqual([kernel.peek(one), kernel.read(one, read), [...read]], [1, 2, [7, 8, 0, 0]]);
  assert.equal(kernel.peek(one), 0);
  kernel.close(one);
  assert.equal(kernel.peek(one), -EBADF);
});
