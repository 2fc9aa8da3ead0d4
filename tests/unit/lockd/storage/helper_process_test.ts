import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import {
  F_DUPFD_CLOEXEC,
  F_GETFD,
  F_RDLCK,
  F_WRLCK,
  O_RDWR,
  SOCK_SEQPACKET,
} from "../../../../src/os/constants.ts";
import { EBADF, EIO, ENOENT } from "../../../../src/os/errno.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import type { ReceivedMessage } from "../../../../src/os/sys.ts";
import { must } from "../../../../src/os/system_error.ts";
import { decodeFromHelper } from "../../../../src/lockd/storage/helper_decoding.ts";
import { StorageHelper } from "../../../../src/lockd/storage/helper_process.ts";
import {
  HELPER_END,
  HelperScript,
  hold,
  lockTask,
  resultOf,
  unlockTask,
} from "../../../support/helper_script.ts";
import { inDirectory } from "../../../support/storage_fixture.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";

/** Whether anybody holds a lock on byte 0 of a file. */
function isLocked(path: string): boolean {
  const sys = linuxSys();
  const fd = must(sys.open(path, O_RDWR, 0), "open", path);
  const result = sys.ofdLock(fd, F_WRLCK, 0, 1);
  sys.close(fd);
  return result !== 0;
}

Deno.test(
  "a helper grants a lock with its descriptor, which outlives it once settled",
  inDirectory((directory) => {
    const path = `${directory}/a`;
    let before = false;
    const script = new HelperScript([
      lockTask(5, path),
      "nothing",
      { kind: "settled", id: 5 },
      () => before = isLocked(path),
    ]);
    new StorageHelper(script.sys, HELPER_END).run();
    const result = resultOf(script.sent);
    assert.equal(result.kind, "granted");
    assert.equal(script.granted.length, 1);
    assert.equal(before, true);
    assert.equal(isLocked(path), true);
    linuxSys().close(script.granted[0] as number);
    assert.equal(isLocked(path), false);
  }),
);

Deno.test(
  "a helper does nothing of what is no message, closes what came along, and releases nothing that may be taken",
  inDirectory((directory) => {
    const [path, other] = [`${directory}/a`, `${directory}/b`];
    Deno.writeTextFileSync(other, "data");
    const sys = linuxSys();
    const fd = must(sys.open(other, O_RDWR, 0), "open", other);
    const script = new HelperScript([
      lockTask(5, path),
      "nothing",
      { bytes: `{"kind":"task","id":6,"task":{"op":"remove","file":"${other}"}}`, descriptors: [fd] },
      lockTask(7, other),
    ]);
    const sent = script.run();
    assert.deepEqual(sent.map((message) => message.kind === "result" ? message.id : message.kind), [5]);
    assert.equal(sys.fcntl(fd, F_GETFD, 0), -EBADF);
    assert.deepEqual([existsSync(path), existsSync(other)], [true, true]);
  }),
);

Deno.test(
  "a helper that ends before its grant is settled releases the lock and unlinks the file",
  inDirectory((directory) => {
    const path = `${directory}/a`;
    const script = new HelperScript([lockTask(5, path), "nothing"]);
    new StorageHelper(script.sys, HELPER_END).run();
    assert.equal(existsSync(path), false);
    const [fd] = script.granted;
    // The copy that the daemon may have got guards nothing any more.
    assert.equal(linuxSys().ofdLock(fd as number, F_WRLCK, 0, 1), 0);
    linuxSys().close(fd as number);
  }),
);

Deno.test(
  "a helper keeps the file of a lock that was not autocreated when it releases it",
  inDirectory((directory) => {
    const path = `${directory}/disk`;
    Deno.writeTextFileSync(path, "data");
    const script = new HelperScript([lockTask(5, path, { autocreate: false, followLinks: true }), "nothing"]);
    assert.equal(resultOf(script.run()).kind, "granted");
    assert.equal(Deno.readTextFileSync(path), "data");
    assert.equal(isLocked(path), false);
  }),
);

Deno.test(
  "a helper does not hand out a lock that was undone while it was being taken",
  inDirectory((directory) => {
    const path = `${directory}/a`;
    const script = new HelperScript([lockTask(5, path), { kind: "undo", id: 5 }, "nothing"]);
    assert.deepEqual(script.run(), [{ kind: "result", id: 5, result: { kind: "undone", path } }]);
    assert.equal(script.granted.length, 0);
    assert.equal(existsSync(path), false);
  }),
);

Deno.test(
  "a helper undoes a lock that it has handed out already",
  inDirectory((directory) => {
    const path = `${directory}/a`;
    const script = new HelperScript([lockTask(5, path), "nothing", { kind: "undo", id: 5 }]);
    const kinds = script.run().map((message) =>
      message.kind === "result" ? message.result.kind : message.kind
    );
    assert.deepEqual(kinds, ["granted", "undone"]);
    assert.equal(existsSync(path), false);
  }),
);

Deno.test(
  "a helper ignores an undo for a lock that was refused",
  inDirectory((directory) => {
    const path = `${directory}/a`;
    const fd = hold(path);
    const script = new HelperScript([lockTask(5, path), "nothing", { kind: "undo", id: 5 }]);
    const result = resultOf(script.run());
    linuxSys().close(fd);
    assert.equal(result.kind === "refused" && result.outcome.kind, "busy");
    assert.equal(existsSync(path), true);
  }),
);

Deno.test(
  "a helper whose daemon went while it took a lock does not hand it out",
  inDirectory((directory) => {
    const path = `${directory}/a`;
    const script = new HelperScript([lockTask(5, path)]);
    assert.deepEqual(script.run(), []);
    assert.equal(existsSync(path), false);
  }),
);

Deno.test(
  "a helper goes on with what a daemon sent before it went",
  inDirectory((directory) => {
    const path = `${directory}/a`;
    const script = new HelperScript([
      lockTask(5, path),
      "nothing",
      () => script.reachable = false,
      "reset",
      { kind: "settled", id: 5 },
    ]);
    new StorageHelper(script.sys, HELPER_END).run();
    assert.equal(isLocked(path), true);
    linuxSys().close(script.granted[0] as number);
  }),
);

Deno.test(
  "a helper that may have lost a message releases nothing that the daemon may have taken",
  inDirectory((directory) => {
    const path = `${directory}/a`;
    const script = new HelperScript([lockTask(5, path), "nothing", "broken"]);
    new StorageHelper(script.sys, HELPER_END).run();
    assert.equal(existsSync(path), true);
    assert.equal(isLocked(path), true);
    linuxSys().close(script.granted[0] as number);
    assert.equal(isLocked(path), false);
  }),
);

Deno.test(
  "a helper writes the owner record of an exclusive autocreated lock only",
  inDirectory((directory) => {
    const contents: string[] = [];
    const look = (path: string) => () => contents.push(Deno.readTextFileSync(path));
    const record = "domain 'a'";
    new HelperScript([
      lockTask(1, `${directory}/exclusive`, { record }),
      "nothing",
      look(`${directory}/exclusive`),
      lockTask(2, `${directory}/shared`, { shared: true }),
      "nothing",
      look(`${directory}/shared`),
      lockTask(3, `${directory}/default`, { followLinks: true, record }),
      "nothing",
      look(`${directory}/default`),
    ]).run();
    assert.deepEqual(contents, [`virtlockd-owner: ${Deno.hostname()}, domain 'a'\n`, "", ""]);
  }),
);

Deno.test(
  "a helper grants a lock whose owner record could not be written, and says so",
  inDirectory((directory) => {
    const script = new HelperScript([lockTask(1, `${directory}/a`, { record: "x" }), "nothing"], {
      pwrite: () => -EIO,
    });
    const result = resultOf(script.run());
    assert.equal(result.kind === "granted" && result.recordErrno, EIO);
  }),
);

Deno.test(
  "a helper releases a lock, unlinks its file, and keeps its copy until the daemon has closed its own",
  inDirectory((directory) => {
    const path = `${directory}/a`;
    const fd = hold(path);
    let open = 0;
    const before = openDescriptors();
    const copy = must(linuxSys().fcntl(fd, F_DUPFD_CLOEXEC, 0), "dup", path);
    const script = new HelperScript([
      { message: unlockTask(8, path), descriptors: [copy] },
      () => open = openedSince(before).length,
      { kind: "settled", id: 8 },
    ]);
    assert.deepEqual(script.run(), [{ kind: "result", id: 8, result: { kind: "released" } }]);
    assert.equal(existsSync(path), false);
    assert.equal(open, 1);
    assert.deepEqual(openedSince(before), []);
    assert.equal(linuxSys().ofdLock(fd, F_RDLCK, 0, 1), 0);
    linuxSys().close(fd);
  }),
);

Deno.test(
  "a helper that repeats a release leaves another holder's file of the same name alone",
  inDirectory((directory) => {
    const path = `${directory}/a`;
    const old = hold(path);
    Deno.removeSync(path);
    const other = hold(path);
    const script = new HelperScript([{ message: unlockTask(8, path), descriptors: [old] }]);
    assert.deepEqual(script.run(), [{ kind: "result", id: 8, result: { kind: "released" } }]);
    assert.equal(existsSync(path), true);
    assert.equal(isLocked(path), true);
    linuxSys().close(other);
  }),
);

Deno.test(
  "a helper keeps a lock whose file it cannot unlink",
  inDirectory((directory) => {
    const path = `${directory}/a`;
    const fd = hold(path);
    const copy = must(linuxSys().fcntl(fd, F_DUPFD_CLOEXEC, 0), "dup", path);
    const script = new HelperScript([{ message: unlockTask(8, path), descriptors: [copy] }], {
      unlink: () => -EIO,
    });
    const result = resultOf(script.run());
    assert.deepEqual(result, {
      kind: "released",
      failure: { action: `Unable to unlink resource ${path}`, errno: EIO, released: false },
    });
    assert.equal(isLocked(path), true);
    linuxSys().close(fd);
  }),
);

Deno.test(
  "a helper refuses a release whose descriptor did not come along",
  inDirectory((directory) => {
    const result = resultOf(new HelperScript([unlockTask(8, `${directory}/a`)]).run());
    assert.deepEqual(result, {
      kind: "released",
      failure: {
        action: `Unable to receive the descriptor of resource ${directory}/a`,
        errno: 24,
        released: false,
      },
    });
  }),
);

const COMMAND = { path: "/usr/sbin/virtlockd", argv: ["virtlockd", "internal-storage", "9"], env: ["A=b"] };

Deno.test("a helper starts another with the socket it was given, and its own signals blocked", () => {
  const socket = must(linuxSys().open("/dev/null", O_RDWR, 0), "open", "/dev/null");
  const ignored: number[] = [];
  const script = new HelperScript([{ message: { kind: "spawn", command: COMMAND }, descriptors: [socket] }], {
    ignoreSignals: (signals) => ignored.push(...signals),
  });
  assert.deepEqual(script.run(), []);
  assert.deepEqual(ignored, [17]);
  const [spawned] = script.spawned;
  assert.deepEqual([spawned?.path, spawned?.argv, spawned?.env], [COMMAND.path, COMMAND.argv, COMMAND.env]);
  assert.equal(spawned?.descriptors.length, 4);
  assert.equal(spawned?.descriptors[3], socket);
  assert.deepEqual([...spawned?.blockedSignals ?? []].sort((a, b) => a - b), [1, 2, 3, 10, 13, 15, 29]);
  assert.equal(spawned?.newSession, true);
});

Deno.test("a helper that cannot start another tells so at the other end of the socket it was given", () => {
  const sys = linuxSys();
  const pair = sys.socketPair(SOCK_SEQPACKET);
  if (typeof pair === "number") throw new Error("No sockets");
  const [near, far] = pair;
  new HelperScript([{ message: { kind: "spawn", command: COMMAND }, descriptors: [far] }], {
    spawn: () => -ENOENT,
  })
    .run();
  const bytes = new Uint8Array(4096);
  const received = sys.receiveMessage(near, bytes, false) as ReceivedMessage;
  assert.deepEqual(decodeFromHelper(bytes.subarray(0, received.length)), {
    kind: "failed",
    reason: "Start storage helper /usr/sbin/virtlockd: No such file or directory (ENOENT)",
  });
  assert.deepEqual(sys.receiveMessage(near, bytes, false), { length: 0, descriptors: [] });
  sys.close(near);
});
