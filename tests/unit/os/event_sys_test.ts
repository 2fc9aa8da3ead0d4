import assert from "node:assert/strict";
import { EPOLLHUP, EPOLLIN, EPOLLOUT, IN_DELETE, SOCK_STREAM } from "../../../src/os/constants.ts";
import { kernel } from "../../support/kernel.ts";
import { Scratch } from "../../support/scratch.ts";

const ADD = 1;

Deno.test("EventSys epollWait() reports descriptors and their events", () => {
  const pair = kernel.socketPair(SOCK_STREAM);
  assert.ok(typeof pair !== "number");
  const [near, far] = pair;
  const epoll = kernel.epollCreate();
  const [fds, events] = [new Int32Array(8), new Uint32Array(8)];
  assert.equal(kernel.epollControl(epoll, ADD, near, EPOLLIN | EPOLLOUT), 0);
  assert.equal(kernel.epollControl(epoll, ADD, near, EPOLLIN), -17);
  assert.equal(kernel.epollWait(epoll, fds, events, -1), 1);
  assert.deepEqual([fds[0], events[0]], [near, EPOLLOUT]);
  kernel.send(far, new Uint8Array(1));
  kernel.close(far);
  assert.equal(kernel.epollWait(epoll, fds, events, 0), 1);
  assert.equal((events[0] ?? 0) & (EPOLLIN | EPOLLHUP), EPOLLIN | EPOLLHUP);
  kernel.close(near);
  assert.equal(kernel.epollWait(epoll, fds, events, 0), 0);
  kernel.close(epoll);
});

Deno.test("EventSys epollControl() refuses a regular file", () => {
  const epoll = kernel.epollCreate();
  const file = kernel.open("/etc/passwd", 0, 0);
  assert.equal(kernel.epollControl(epoll, ADD, file, EPOLLIN), -1);
  kernel.close(file);
  kernel.close(epoll);
});

Deno.test("EventSys timers expire once, after their time", () => {
  const timer = kernel.timerCreate();
  assert.equal(kernel.timerSet(timer, 3_600_000), 0);
  assert.equal(kernel.pollReadable(timer, 0), 0);
  const start = kernel.monotonic();
  assert.equal(kernel.timerSet(timer, 20.5), 0);
  assert.equal(kernel.pollReadable(timer, 10_000), 1);
  assert.ok(kernel.monotonic() - start >= 20.4);
  const expirations = new Uint8Array(8);
  assert.equal(kernel.read(timer, expirations), 8);
  assert.equal(expirations[0], 1);
  assert.equal(kernel.read(timer, expirations), -11);
  kernel.timerSet(timer, 5);
  kernel.timerSet(timer, 0);
  assert.equal(kernel.pollReadable(timer, 10), 0);
  kernel.close(timer);
});

Deno.test("EventSys signalfd() has nothing to read while no signal is pending", () => {
  const fd = kernel.signalfd([10]);
  assert.equal(kernel.readSignal(fd, { signal: 0, pid: 0, uid: 0 }), -11);
  kernel.close(fd);
});

Deno.test("EventSys eventfd() and pipe() do not wait", () => {
  const event = kernel.eventfd();
  assert.equal(kernel.read(event, new Uint8Array(8)), -11);
  const pipe = kernel.pipe();
  assert.ok(typeof pipe !== "number");
  assert.equal(kernel.read(pipe[0], new Uint8Array(8)), -11);
  for (const fd of [event, ...pipe]) kernel.close(fd);
});

Deno.test("EventSys monotonic() goes forward in fractions of milliseconds", () => {
  const times = Array.from({ length: 1000 }, () => kernel.monotonic());
  assert.deepEqual(times, times.toSorted((a, b) => a - b));
  assert.ok(new Set(times).size > 100);
});

Deno.test("EventSys inotify() is readable when a name in a watched directory goes", () => {
  using scratch = new Scratch();
  const path = scratch.write("name");
  const inotify = kernel.inotify();
  assert.equal(kernel.watchDirectory(inotify, scratch.path, IN_DELETE), 1);
  assert.equal(kernel.watchDirectory(inotify, scratch.path, IN_DELETE), 1);
  assert.equal(kernel.watchDirectory(inotify, path, IN_DELETE), -20);
  assert.equal(kernel.watchDirectory(inotify, scratch.file("none"), IN_DELETE), -2);
  assert.equal(kernel.pollReadable(inotify, 0), 0);
  Deno.removeSync(path);
  assert.equal(kernel.pollReadable(inotify, 0), 1);
  assert.ok(kernel.read(inotify, new Uint8Array(300)) > 0);
  assert.equal(kernel.read(inotify, new Uint8Array(300)), -11);
  kernel.close(inotify);
});
