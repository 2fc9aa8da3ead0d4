import assert from "node:assert/strict";
import { locksIn, parseLock, shownLocks } from "../../../src/os/shown_lock.ts";
import { F_RDLCK, F_WRLCK, O_CREAT, O_RDWR } from "../../../src/os/constants.ts";
import { kernel } from "../../support/kernel.ts";

Deno.test("shownLocks() tells kind and mode of what a descriptor holds, and nothing of others", () => {
  const path = Deno.makeTempFileSync();
  const [first, second] = [kernel.open(path, O_RDWR | O_CREAT, 0), kernel.open(path, O_RDWR, 0)];
  try {
    assert.deepEqual(shownLocks(kernel, first), []);
    kernel.ofdLock(first, F_RDLCK, 0, 1);
    assert.deepEqual(shownLocks(kernel, first), [{ kind: "ofd", shared: true }]);
    kernel.ofdLock(first, F_WRLCK, 0, 1);
    assert.deepEqual(shownLocks(kernel, first), [{ kind: "ofd", shared: false }]);
    assert.deepEqual(shownLocks(kernel, second), []);
  } finally {
    kernel.close(first);
    kernel.close(second);
    Deno.removeSync(path);
  }
  assert.deepEqual(shownLocks(kernel, 999_999), []);
});

const LINES: [line: string, at: number, lock: { pid: number; file: string } | undefined][] = [
  ["1: OFDLCK ADVISORY  WRITE -1 00:3b:2171686 0 0", 0, { pid: -1, file: "00:3b:2171686" }],
  ["\t1: OFDLCK ADVISORY  READ -1 fe:00:7 0 EOF", 0, { pid: -1, file: "fe:00:7" }],
  ["\t1: OFDLCK ADVISORY  READ -1 fe:00:7 100 EOF", 101, { pid: -1, file: "fe:00:7" }],
  ["1: OFDLCK ADVISORY  READ -1 fe:00:7 100 101", 101, { pid: -1, file: "fe:00:7" }],
  ["1: OFDLCK ADVISORY  READ -1 fe:00:7 100 100", 101, undefined],
  ["1: OFDLCK ADVISORY  READ -1 fe:00:7 103 103", 101, undefined],
  ["22: POSIX  ADVISORY  READ 17090 fe:00:2172072 0 99", 0, { pid: 17090, file: "fe:00:2172072" }],
  ["22: POSIX  ADVISORY  READ 17090 fe:00:2172072 1 99", 0, undefined],
  ["22: -> POSIX  ADVISORY  READ 17090 fe:00:2172072 0 0", 0, undefined],
  ["23: FLOCK  ADVISORY  WRITE 1 fe:00:5 0 EOF", 0, undefined],
  ["24: LEASE  ACTIVE    READ 1 fe:00:5 0 EOF", 0, undefined],
  ["", 0, undefined],
];
for (const [line, at, lock] of LINES) {
  Deno.test(`parseLock() at byte ${at} reads '${line.trim()}'`, () =>
    assert.deepEqual(parseLock(line, at), lock));
}

Deno.test("locksIn() finds the locks among what fdinfo says", () => {
  const info = "pos:\t0\nflags:\t02\nlock:\t1: OFDLCK ADVISORY  READ -1 fe:00:7 100 101\n" +
    "lock:\t2: OFDLCK ADVISORY  READ -1 fe:00:7 201 201\n";
  assert.deepEqual(locksIn(info, 101), [{ pid: -1, file: "fe:00:7" }]);
  assert.deepEqual(locksIn(info, 0), []);
  assert.deepEqual(locksIn("pos:\t0\n", 0), []);
});
