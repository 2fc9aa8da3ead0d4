import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import {
  F_DUPFD_CLOEXEC,
  F_GETFD,
  F_RDLCK,
  F_WRLCK,
  O_CREAT,
  O_RDWR,
  SOCK_SEQPACKET,
} from "../../../../src/os/constants.ts";
import { EAGAIN, EBADF, ECONNRESET, EIO, EMFILE, ENOENT, ENOMEM, EPIPE } from "../../../../src/os/errno.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import type { ReceivedMessage, SpawnOptions, Sys } from "../../../../src/os/sys.ts";
import { must } from "../../../../src/os/system_error.ts";
import {
  decodeMessage,
  encodeMessage,
  type FromHelper,
  type StorageLockRequest,
  type StorageResult,
  type StorageTask,
  type ToHelper,
} from "../../../../src/lockd/storage/helper_protocol.ts";
import { runDeputy, runStorageHelper, StorageHelper } from "../../../../src/lockd/storage/helper_process.ts";
import { inDirectory, openDescriptors } from "../../../support/storage_fixture.ts";

const SOCKET = 1000;

/** What the daemon does at one end of the socket, step by step, while a helper runs at the other. */
type Step =
  | ToHelper
  /** A message with descriptors. */
  | { message: ToHelper; descriptors: readonly number[] }
  /** Nothing has come when the helper looks without waiting. */
  | "nothing"
  /** The daemon went with a message unread. */
  | "reset"
  /** A message was lost. */
  | "broken"
  /** Something the test does meanwhile. */
  | (() => void);

/** The daemon's end of a helper's socket: plays steps, then closes. Files are the kernel's. */
class Script {
  readonly #steps: Step[];
  readonly sent: FromHelper[] = [];
  /** Copies of the descriptors that came with messages. */
  readonly granted: number[] = [];
  readonly spawned: SpawnOptions[] = [];
  readonly sys: Sys;
  /** Whether the daemon can still be reached. */
  reachable = true;

  constructor(steps: readonly Step[], faults: Partial<Sys> = {}) {
    this.#steps = [...steps];
    const real = linuxSys();
    this.sys = {
      ...real,
      receiveMessage: (_fd, into, wait) => this.#receive(into, wait),
      sendMessage: (fd, bytes, descriptors) => {
        if (fd !== SOCKET && fd !== 3) return real.sendMessage(fd, bytes, descriptors);
        if (!this.reachable) return -EPIPE;
        this.sent.push(decodeMessage<FromHelper>(bytes));
        for (const fd of descriptors) {
          this.granted.push(must(real.fcntl(fd, F_DUPFD_CLOEXEC, 0), "dup", "lock"));
        }
        return bytes.length;
      },
      spawn: (options) => {
        this.spawned.push(options);
        return 4711;
      },
      setThreadName: () => 0,
      blockSignals: () => 0,
      ignoreSignals: () => 0,
      ...faults,
    };
  }

  /** Runs a helper through all steps. @returns what it sent, without what came before the tasks */
  run(): readonly FromHelper[] {
    new StorageHelper(this.sys, SOCKET).run();
    for (const fd of this.granted) linuxSys().close(fd);
    return this.sent;
  }

  #receive(into: Uint8Array, wait: boolean): ReceivedMessage | number {
    for (;;) {
      const step = this.#steps[0];
      if (step === "nothing") {
        this.#steps.shift();
        if (wait) continue;
        return -EAGAIN;
      }
      if (step === undefined) return { length: 0, descriptors: [] };
      this.#steps.shift();
      if (step === "reset") return -ECONNRESET;
      if (step === "broken") return -ENOMEM;
      if (typeof step === "function") {
        step();
        continue;
      }
      const { message, descriptors } = "message" in step ? step : { message: step, descriptors: [] };
      const bytes = encodeMessage(message);
      into.set(bytes);
      return { length: bytes.length, descriptors: [...descriptors] };
    }
  }
}

function task(id: number, what: StorageTask): ToHelper {
  return { kind: "task", id, task: what };
}

function lockTask(id: number, path: string, parts: Partial<StorageLockRequest> = {}): ToHelper {
  const request = { path, shared: false, autocreate: true, followLinks: false, ...parts };
  return task(id, { op: "lock", request });
}

function unlockTask(
  id: number,
  path: string,
  parts: { shared?: boolean; autocreate?: boolean } = {},
): ToHelper {
  const request = { path, lock: "ofd" as const, shared: false, autocreate: true, force: false, ...parts };
  return task(id, { op: "unlock", request });
}

/** The one result that was sent. */
function resultOf(sent: readonly FromHelper[]): StorageResult {
  assert.equal(sent.length, 1);
  const [message] = sent;
  if (message?.kind !== "result") throw new Error("The helper sent no result");
  return message.result;
}

/** A file that this test holds, as the daemon does. */
function hold(path: string, type = F_WRLCK): number {
  const sys = linuxSys();
  const fd = must(sys.open(path, O_RDWR | O_CREAT, 0o600), "open", path);
  must(sys.ofdLock(fd, type, 0, 1), "lock", path);
  return fd;
}

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
    const script = new Script([
      lockTask(5, path),
      "nothing",
      { kind: "settled", id: 5 },
      () => before = isLocked(path),
    ]);
    new StorageHelper(script.sys, SOCKET).run();
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
  "a helper that ends before its grant is settled releases the lock and unlinks the file",
  inDirectory((directory) => {
    const path = `${directory}/a`;
    const script = new Script([lockTask(5, path), "nothing"]);
    new StorageHelper(script.sys, SOCKET).run();
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
    const script = new Script([lockTask(5, path, { autocreate: false, followLinks: true }), "nothing"]);
    assert.equal(resultOf(script.run()).kind, "granted");
    assert.equal(Deno.readTextFileSync(path), "data");
    assert.equal(isLocked(path), false);
  }),
);

Deno.test(
  "a helper does not hand out a lock that was undone while it was being taken",
  inDirectory((directory) => {
    const path = `${directory}/a`;
    const script = new Script([lockTask(5, path), { kind: "undo", id: 5 }, "nothing"]);
    assert.deepEqual(script.run(), [{ kind: "result", id: 5, result: { kind: "undone", path } }]);
    assert.equal(script.granted.length, 0);
    assert.equal(existsSync(path), false);
  }),
);

Deno.test(
  "a helper undoes a lock that it has handed out already",
  inDirectory((directory) => {
    const path = `${directory}/a`;
    const script = new Script([lockTask(5, path), "nothing", { kind: "undo", id: 5 }]);
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
    const script = new Script([lockTask(5, path), "nothing", { kind: "undo", id: 5 }]);
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
    const script = new Script([lockTask(5, path)]);
    assert.deepEqual(script.run(), []);
    assert.equal(existsSync(path), false);
  }),
);

Deno.test(
  "a helper goes on with what a daemon sent before it went",
  inDirectory((directory) => {
    const path = `${directory}/a`;
    const script = new Script([
      lockTask(5, path),
      "nothing",
      () => script.reachable = false,
      "reset",
      { kind: "settled", id: 5 },
    ]);
    new StorageHelper(script.sys, SOCKET).run();
    assert.equal(isLocked(path), true);
    linuxSys().close(script.granted[0] as number);
  }),
);

Deno.test(
  "a helper that may have lost a message releases nothing that the daemon may have taken",
  inDirectory((directory) => {
    const path = `${directory}/a`;
    const script = new Script([lockTask(5, path), "nothing", "broken"]);
    new StorageHelper(script.sys, SOCKET).run();
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
    new Script([
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
    const script = new Script([lockTask(1, `${directory}/a`, { record: "x" }), "nothing"], {
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
    const script = new Script([
      { message: unlockTask(8, path), descriptors: [copy] },
      () => open = openDescriptors() - before,
      { kind: "settled", id: 8 },
    ]);
    assert.deepEqual(script.run(), [{ kind: "result", id: 8, result: { kind: "released" } }]);
    assert.equal(existsSync(path), false);
    assert.equal(open, 1);
    assert.equal(openDescriptors(), before);
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
    const script = new Script([{ message: unlockTask(8, path), descriptors: [old] }]);
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
    const script = new Script([{ message: unlockTask(8, path), descriptors: [copy] }], {
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
    const result = resultOf(new Script([unlockTask(8, `${directory}/a`)]).run());
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

Deno.test(
  "a helper makes and removes files and directories",
  inDirectory((directory) => {
    const steps: [StorageTask, StorageResult][] = [
      [{ op: "make-directory", path: `${directory}/d/e` }, { kind: "done" }],
      [{ op: "create", path: `${directory}/d/e/f`, followLinks: false }, { kind: "done" }],
      [{ op: "make-directory", path: `${directory}/d/e/f` }, {
        kind: "done",
        failure: { kind: "not-a-directory", path: `${directory}/d/e/f` },
      }],
      [{ op: "remove", path: `${directory}/d/e/f` }, { kind: "done" }],
      [{ op: "remove", path: `${directory}/d/e` }, {
        kind: "done",
        failure: {
          kind: "system",
          action: `Unable to delete lockspace resource ${directory}/d/e`,
          errno: 21,
        },
      }],
    ];
    const sent = new Script(steps.map(([what], id) => task(id, what))).run();
    assert.deepEqual(sent, steps.map(([, result], id) => ({ kind: "result", id, result })));
    assert.equal(existsSync(`${directory}/d/e`), true);
  }),
);

/** Asks a helper for the holder of a file that this process holds, or nobody does. */
function holderOf(path: string, shared: boolean, faults: Partial<Sys> = {}): StorageResult {
  const status = Deno.statSync(path);
  const device = status.dev;
  const identity = {
    devMajor: device >> 8,
    devMinor: device & 0xff,
    inodeLow: (status.ino ?? 0) % 0x1_0000_0000,
    inodeHigh: Math.floor((status.ino ?? 0) / 0x1_0000_0000),
  };
  return resultOf(new Script([task(1, { op: "find-holder", path, identity, shared })], faults).run());
}

Deno.test(
  "a helper finds the process that holds a file",
  inDirectory((directory) => {
    const fd = hold(`${directory}/a`);
    const result = holderOf(`${directory}/a`, true);
    linuxSys().close(fd);
    assert.equal(result.kind === "holder" && result.holder.kind === "process" && result.holder.pid, Deno.pid);
  }),
);

Deno.test(
  "a helper finds another host's record only where other hosts may hold the file",
  inDirectory((directory) => {
    const path = `${directory}/a`;
    Deno.writeTextFileSync(path, "virtlockd-owner: beta, domain 'b'\n");
    assert.deepEqual(holderOf(path, true), {
      kind: "holder",
      holder: { kind: "record", text: "beta, domain 'b'" },
    });
    assert.deepEqual(holderOf(path, false), { kind: "holder", holder: { kind: "unknown" } });
    Deno.writeTextFileSync(path, "");
    assert.deepEqual(holderOf(path, true), { kind: "holder", holder: { kind: "other-host" } });
  }),
);

Deno.test(
  "a helper does not call a holder another host's when it could not look",
  inDirectory((directory) => {
    const path = `${directory}/a`;
    Deno.writeTextFileSync(path, "virtlockd-owner: beta, domain 'b'\n");
    const real = linuxSys();
    const open: Sys["open"] = (name, flags, mode) =>
      name === "/proc/locks" ? -ENOENT : real.open(name, flags, mode);
    assert.deepEqual(holderOf(path, true, { open }), { kind: "holder", holder: { kind: "unknown" } });
  }),
);

Deno.test(
  "a helper asks the storage of a descriptor for its locks, and closes its copy",
  inDirectory((directory) => {
    const fd = hold(`${directory}/a`);
    const real = linuxSys();
    const copy = real.fcntl(fd, F_DUPFD_CLOEXEC, 0);
    const ask = { message: task(1, { op: "probe", path: "/p" }), descriptors: [copy] };
    assert.deepEqual(resultOf(new Script([ask]).run()), { kind: "done" });
    assert.equal(real.fcntl(copy, F_GETFD, 0), -EBADF);
    real.close(fd);
    const action = "Unable to ask for locks on /p";
    const failed = (errno: number) => ({ kind: "done", failure: { kind: "system", action, errno } });
    assert.deepEqual(resultOf(new Script([task(1, { op: "probe", path: "/p" })]).run()), failed(EMFILE));
    const again = { message: task(1, { op: "probe", path: "/p" }), descriptors: [hold(`${directory}/b`)] };
    assert.deepEqual(resultOf(new Script([again], { ofdProbe: () => -EIO }).run()), failed(EIO));
  }),
);

Deno.test("a helper runs a program and waits for it", () => {
  const real = linuxSys();
  const command = { path: "/bin/sh", argv: ["sh", "-c", "echo $A; exit 3"], env: ["A=b"] };
  const script = new Script([task(1, { op: "run", command, limit: 20_000 })], { spawn: real.spawn });
  assert.deepEqual(resultOf(script.run()), {
    kind: "ran",
    program: { kind: "ended", code: 3, output: "b\n" },
  });
});

const COMMAND = { path: "/usr/sbin/virtlockd", argv: ["virtlockd", "internal-storage", "9"], env: ["A=b"] };

Deno.test("a helper starts another with the socket it was given, and its own signals blocked", () => {
  const socket = must(linuxSys().open("/dev/null", O_RDWR, 0), "open", "/dev/null");
  const ignored: number[] = [];
  const script = new Script([{ message: { kind: "spawn", command: COMMAND }, descriptors: [socket] }], {
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
  new Script([{ message: { kind: "spawn", command: COMMAND }, descriptors: [far] }], { spawn: () => -ENOENT })
    .run();
  const bytes = new Uint8Array(4096);
  const received = sys.receiveMessage(near, bytes, false) as ReceivedMessage;
  assert.deepEqual(decodeMessage<FromHelper>(bytes.subarray(0, received.length)), {
    kind: "failed",
    reason: "Start storage helper /usr/sbin/virtlockd: No such file or directory (ENOENT)",
  });
  assert.deepEqual(sys.receiveMessage(near, bytes, false), { length: 0, descriptors: [] });
  sys.close(near);
});

Deno.test("runStorageHelper() names and shields itself, says that it is ready, and ends with the stream", () => {
  const calls: unknown[] = [];
  const script = new Script([], {
    setThreadName: (name) => calls.push(name),
    blockSignals: (signals) => calls.push([...signals].sort((a, b) => a - b)),
    pid: () => 77,
  });
  assert.equal(runStorageHelper(script.sys, ["5"]), 0);
  assert.deepEqual(calls, ["virtlockd-io", [1, 2, 3, 10, 13, 15, 29]]);
  assert.deepEqual(script.sent, [{ kind: "ready", pid: 77 }]);
});

Deno.test("runStorageHelper() refuses a daemon of another version", () => {
  const script = new Script([lockTask(1, "/mnt/a")]);
  assert.equal(runStorageHelper(script.sys, ["0"]), 1);
  assert.deepEqual(script.sent, [{
    kind: "failed",
    reason: "The program on disk speaks version 5 of the helper protocol, this daemon 0: " +
      "restart the daemon with SIGUSR1",
  }]);
});

const BECOME: ToHelper = { kind: "become", version: "5", ids: { uid: 7, gid: 8 } };

Deno.test("runDeputy() becomes the user that it is told, before anything else, and serves then", () => {
  const calls: unknown[] = [];
  const script = new Script([BECOME, task(1, { op: "find-owner", path: "/mnt/a" })], {
    becomeUser: (uid, gid) => calls.push(["become", uid, gid]) * 0,
    stat: (path, into) => {
      calls.push(["stat", path]);
      into.uid = 9;
      into.gid = 10;
      return 0;
    },
    pid: () => 77,
  });
  assert.equal(runDeputy(script.sys), 0);
  assert.deepEqual(calls, [["become", 7, 8], ["stat", "/mnt/a"]]);
  assert.deepEqual(script.sent, [
    { kind: "ready", pid: 77 },
    { kind: "result", id: 1, result: { kind: "owner", owner: { uid: 9, gid: 10, path: "/mnt/a" } } },
  ]);
});

Deno.test("runDeputy() does nothing as anybody else than it was told to be", () => {
  const lock = lockTask(1, "/mnt/a");
  const confined = new Script([BECOME, lock], { becomeUser: () => -1, open: () => assert.fail("opened") });
  assert.equal(runDeputy(confined.sys), 1);
  assert.deepEqual(confined.sent, [{
    kind: "failed",
    reason: "no process may become user 7 for it: Operation not permitted",
  }]);
  const older = new Script([{ ...BECOME, version: "4" }, lock], {
    becomeUser: () => assert.fail("became"),
    open: () => assert.fail("opened"),
  });
  assert.equal(runDeputy(older.sys), 1);
  assert.deepEqual(older.sent, [{
    kind: "failed",
    reason: "The program on disk speaks version 5 of the helper protocol, this daemon 4: " +
      "restart the daemon with SIGUSR1",
  }]);
});

Deno.test("a helper says when it may not open the file whose last writes it is to bring to the medium", () => {
  const script = new Script([task(1, { op: "sync", path: "/mnt/a" })], { open: () => -13 });
  assert.deepEqual(script.run(), [{
    kind: "result",
    id: 1,
    result: {
      kind: "denied",
      verdict: {
        kind: "unknown",
        reason: "/mnt/a cannot be opened to bring its last writes to the medium: Permission denied",
      },
    },
  }]);
});
