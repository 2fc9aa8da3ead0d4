import assert from "node:assert/strict";
import { F_RDLCK, F_UNLCK, F_WRLCK, O_CLOEXEC, O_CREAT, O_RDWR } from "../../src/os/constants.ts";
import { crossTo } from "../../src/lockd/lockspace/lock_bridge.ts";
import { bridgeTraffic } from "../support/bridge_traffic.ts";
import { kernel, lockOn } from "../support/kernel.ts";
import { Scratch } from "../support/scratch.ts";

// The kernel itself on the bridge between POSIX locks and those of open file descriptions.

/** Tries of each prober. */
const TRIES = 100_000;
const OFD = { mode: "exclusive", pid: -1 } as const;

Deno.test("nobody gets a lock while it crosses the bridge, however often he asks", async () => {
  using scratch = new Scratch();
  const { tries, grants } = await bridgeTraffic(scratch.file("disk"), TRIES);
  assert.ok(tries >= 2 * TRIES, `${tries} tries`);
  assert.equal(grants, 0);
});

Deno.test("a lock that has crossed is one of the description: another close of the file does not end it", () => {
  using scratch = new Scratch();
  const path = scratch.file("disk");
  const fd = kernel.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600);
  assert.equal(kernel.posixLock(fd, F_WRLCK, 0, 1), 0);
  assert.deepEqual(crossTo(kernel, fd, false, "ofd"), { lock: "ofd", weakened: false });
  kernel.close(kernel.open(path, O_RDWR | O_CLOEXEC, 0));
  assert.deepEqual(lockOn(path), OFD);
  kernel.close(fd);
  assert.deepEqual(lockOn(path), { mode: "none", pid: 0 });
});

Deno.test("a reader that comes in between leaves the lock shared, on the description", () => {
  using scratch = new Scratch();
  const path = scratch.file("disk");
  const fd = kernel.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600);
  const reader = kernel.open(path, O_RDWR | O_CLOEXEC, 0);
  assert.equal(kernel.ofdLock(fd, F_WRLCK, 0, 1), 0);
  const sys = {
    ...kernel,
    ofdLock: (descriptor: number, type: number, start: number, length: number) => {
      const result = kernel.ofdLock(descriptor, type, start, length);
      if (type === F_RDLCK) kernel.ofdLock(reader, F_RDLCK, 0, 1);
      return result;
    },
  };
  const { lock, weakened, failure } = crossTo(sys, fd, false, "posix");
  assert.deepEqual({ lock, weakened, errno: failure?.errno }, { lock: "ofd", weakened: true, errno: 11 });
  assert.equal(kernel.ofdLock(reader, F_WRLCK, 0, 1), -11);
  assert.equal(kernel.ofdLock(reader, F_UNLCK, 0, 1), 0);
  assert.equal(lockOn(path).mode, "shared");
  // When the reader has gone, the lock can be made whole.
  assert.equal(kernel.ofdLock(fd, F_WRLCK, 0, 1), 0);
  kernel.close(reader);
  assert.deepEqual(lockOn(path), OFD);
  kernel.close(fd);
});
