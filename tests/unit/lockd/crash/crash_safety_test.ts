import assert from "node:assert/strict";
import type { UngrantedTry } from "../../../../src/lockd/cluster/locks/ungranted_tries.ts";
import { existsSync } from "node:fs";
import { SharedMemory } from "../../../../src/chassis/journal/journal_memory.ts";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import { CrashSafety } from "../../../../src/lockd/crash/crash_safety.ts";
import type { CrashSafetyParts } from "../../../../src/lockd/crash/crash_safety_parts.ts";
import { LeftJournalError } from "../../../../src/lockd/crash/left_journal_error.ts";
import type { Daemon } from "../../../../src/lockd/daemon/daemon.ts";
import { restore } from "../../../../src/lockd/handover/restore.ts";
import { readLog } from "../../../../src/lockd/journal/lock_format.ts";
import type { Operation } from "../../../../src/lockd/journal/operations.ts";
import { NOTHING_CARRIED, readCarried } from "../../../../src/lockd/restart/recovered_state.ts";
import { O_RDWR, SOCK_DGRAM } from "../../../../src/os/constants.ts";
import { EACCES, EMFILE, ENOSPC } from "../../../../src/os/errno.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { daemonParts } from "../../../support/daemon_parts.ts";
import { kernel } from "../../../support/kernel.ts";
import { grant, owner } from "../journal/journal_fixture.ts";
import { JournalStage } from "./journal_stage.ts";

const LIMITS = [{ maxClients: 10, maxAnonymousClients: 10 }, { maxClients: 5, maxAnonymousClients: 5 }];

/** A start over journals of the test, with a service manager that takes everything if there is one. */
class Stage extends JournalStage {
  /** Names and lines that the service manager was sent. */
  readonly sent: string[] = [];
  readonly loop: EventLoop;
  daemon: Daemon | undefined;
  readonly #ends: [number, number];

  constructor(failing: Partial<Sys> = {}) {
    super(failing);
    this.loop = new EventLoop(this.sys);
    const ends = kernel.socketPair(SOCK_DGRAM);
    assert.ok(typeof ends !== "number");
    this.#ends = ends;
  }

  /** @param env of the process; with one there is a service manager */
  open(env?: Readonly<Record<string, string>>, parts: Partial<CrashSafetyParts> = {}): CrashSafety {
    return new CrashSafety({
      sys: this.sys,
      loop: this.loop,
      ledger: this.ledger,
      log: this.log,
      env: env ?? {},
      journalDir: this.scratch.path,
      cwd: "/",
      notify: env === undefined ? undefined : { fd: this.#ends[0], send: (lines) => this.#take(lines) },
      doubt: undefined,
      returned: [],
      handed: undefined,
      limits: LIMITS,
      ...parts,
    });
  }

  /** What the daemon has of tries that were granted to nobody. */
  tries: UngrantedTry[] = [];

  /** Begins with what was recovered in a daemon's parts. */
  begin(safety: CrashSafety): Daemon {
    const { loop, ledger } = this;
    const daemon = this.daemon = daemonParts(this.sys, { loop, ledger, recorder: safety.recorder });
    if (safety.recovered !== undefined) restore(daemon, safety.recovered);
    const carried = () => ({ ...NOTHING_CARRIED, limits: LIMITS, lineage: "l1", tries: this.tries });
    safety.begin(daemon, carried, undefined);
    return daemon;
  }

  /** What was sent since this was asked last. */
  since(): string[] {
    return this.sent.splice(0);
  }

  override [Symbol.dispose](): void {
    this.loop.close();
    for (const fd of this.#ends) kernel.close(fd);
    super[Symbol.dispose]();
  }

  #take(lines: readonly string[]): "sent" {
    const name = lines.find((line) => line.startsWith("FDNAME="))?.slice("FDNAME=".length);
    this.sent.push(name === undefined ? lines.join(" ") : lines[0] === "FDSTORE=1" ? name : `-${name}`);
    return "sent";
  }
}

/** A grant of a disk that is there, to pid 7. */
function grantOf(stage: JournalStage): Operation {
  const path = stage.scratch.write("disk");
  const granted = grant(3, 7, { lockspace: "", name: path, path, autocreate: false });
  if (granted.op !== "grant") return granted;
  const { slot: _, ...rest } = granted;
  return rest;
}

Deno.test("CrashSafety without a service manager has a file, and nothing of it outlives an orderly end", () => {
  using stage = new Stage();
  const safety = stage.open();
  assert.deepEqual(
    [safety.manager, safety.outlives, safety.copies, safety.sound, safety.refused],
    [undefined, false, "none", false, 0],
  );
  assert.deepEqual([safety.recovered, safety.past], [undefined, { kind: "none" }]);
  assert.deepEqual(safety.kept.map(({ purpose }) => purpose), ["journal"]);
  const daemon = stage.begin(safety);
  const { journal, store } = daemon.crashSections();
  assert.deepEqual([journal?.kind, journal?.failed, store], ["file", undefined, { present: false }]);
  assert.deepEqual([safety.variables, stage.log.lines], [{}, []]);
});

Deno.test("CrashSafety has everything kept at once by a systemd that has not answered", () => {
  using stage = new Stage();
  const safety = stage.open({}, { doubt: "it did not end within 1 s" });
  const daemon = stage.begin(safety);
  assert.deepEqual(stage.since(), ["tripwire-0", "journal", "tripwire-1"]);
  assert.deepEqual([safety.outlives, safety.refused, daemon.crashSections().store?.present], [true, 0, true]);
  // The next image is not to ask and to wait again.
  assert.deepEqual([safety.variables, stage.log.lines], [{ FDSTORE: "65536" }, []]);
});

Deno.test("CrashSafety tells a service manager that keeps nothing what there is to tell", () => {
  using stage = new Stage();
  const safety = stage.open({});
  assert.deepEqual([safety.copies, safety.outlives], ["none", false]);
  safety.manager?.tell(["READY=1"]);
  assert.deepEqual(stage.sent, ["READY=1"]);
});

Deno.test("CrashSafety.begin() stores a tripwire, then the journal, then another tripwire", () => {
  using stage = new Stage();
  const safety = stage.open({ FDSTORE: "100" });
  assert.deepEqual(stage.since(), []);
  const daemon = stage.begin(safety);
  assert.deepEqual(stage.since(), ["tripwire-0", "journal", "tripwire-1"]);
  assert.deepEqual([safety.outlives, safety.copies, safety.sound], [true, "kept", true]);
  assert.deepEqual(safety.kept.map(({ purpose }) => purpose), ["journal", "tripwire-0", "tripwire-1"]);
  const { journal, store } = daemon.crashSections();
  assert.equal(journal?.kind, "store");
  assert.deepEqual(store, {
    present: true,
    stored: 3,
    inQueues: 0,
    limit: 100,
    refused: 0,
    queued: 0,
    kept: true,
    drops: 0,
  });
});

Deno.test("CrashSafety.handover is what the next image goes on with", () => {
  using stage = new Stage();
  const safety = stage.open({ FDSTORE: "100" });
  stage.begin(safety);
  assert.deepEqual(safety.handover, {
    store: "queues",
    dropped: false,
    drops: 0,
    tight: false,
    apart: [],
    listeners: [],
    queues: [],
    missing: [],
    leftOver: [],
  });
});

Deno.test("CrashSafety where the unit asks for a store and systemd has none goes on in the file", () => {
  using stage = new Stage();
  const safety = stage.open({ FDSTORE: "0", VIRTLOCKD_FDSTORE_MAX: "65536" });
  assert.deepEqual([safety.copies, safety.outlives, safety.sound], ["dropped", false, false]);
  const daemon = stage.begin(safety);
  // It is found out whether systemd takes anything: a tripwire, and whether it comes back.
  assert.deepEqual(stage.since(), ["tripwire-0", "BARRIER=1"]);
  const { journal, store } = daemon.crashSections();
  assert.equal(journal?.kind, "file");
  assert.deepEqual(store, {
    present: true,
    stored: 1,
    inQueues: 0,
    limit: 0,
    // The journal.
    refused: 1,
    queued: 0,
    kept: false,
    drops: 0,
    reason: "it is being found out whether systemd keeps anything",
  });
});

Deno.test("CrashSafety recovers what a crash has left, and tells it from an ordinary end", () => {
  for (const [limits, past] of [[LIMITS, "crash"], [[], "restart"]] as const) {
    using stage = new Stage();
    stage.processes.set(7, owner(7).start);
    stage.file([{ op: "carried", state: { ...NOTHING_CARRIED, limits } }, grantOf(stage)]);
    const safety = stage.open();
    assert.deepEqual(safety.past, { kind: past });
    const { servers, lockspaces } = safety.recovered ?? {};
    assert.deepEqual([servers?.virtlockd.maxClients, servers?.admin?.maxClients], [10, 5]);
    assert.deepEqual(lockspaces?.[0]?.resources.map(({ record: { id } }) => id), [3]);
  }
});

Deno.test("CrashSafety.begin() frees owners that are gone, and records that", () => {
  using stage = new Stage();
  stage.file([grantOf(stage)]);
  const safety = stage.open();
  assert.equal(safety.recovered?.lockspaces[0]?.resources.length, 1);
  const daemon = stage.begin(safety);
  // Nobody was seen to write to it, so the lock need not wait.
  assert.equal(daemon.table.resourceCount, 0);
  safety.recorder?.log.flush();
  const read = readLog(new SharedMemory(kernel, safety.recorder?.log.fd ?? -1));
  assert.ok(typeof read !== "string");
  assert.deepEqual([read.state.locks.size, read.damage], [0, undefined]);
});

Deno.test("CrashSafety goes on without a journal where none can be made, and says what that means", () => {
  using stage = new Stage({ mkdir: () => -EACCES });
  const safety = stage.open();
  assert.deepEqual([safety.recorder, safety.kept, safety.sound], [undefined, [], false]);
  const daemon = stage.begin(safety);
  assert.deepEqual(stage.log.lines, [
    `error: No journal, a crash would lose the locks: mkdir ${stage.scratch.path}: Permission denied (EACCES)`,
  ]);
  assert.deepEqual(daemon.crashSections(), {});
  let left: string | undefined = "not yet";
  safety.leave((reason) => left = reason);
  assert.equal(left, undefined);
});

Deno.test("CrashSafety does not go on without a journal that may say which guests run", () => {
  using stage = new Stage({ map: () => -EMFILE });
  const path = stage.file([grantOf(stage)]);
  assert.throws(() => stage.open(), (error) => {
    assert.ok(error instanceof LeftJournalError);
    assert.match(
      error.message,
      new RegExp(`^An earlier daemon has left a journal of its locks in ${path}, `),
    );
    return true;
  });
});

Deno.test("CrashSafety.finish() removes the file where no lock is left, and leaves it where one is", () => {
  using stage = new Stage();
  const empty = stage.open();
  empty.finish(stage.begin(empty), "given-up");
  assert.equal(existsSync(stage.scratch.file("journal")), false);
  using holding = new Stage();
  holding.processes.set(7, owner(7).start);
  holding.file([grantOf(holding)]);
  const safety = holding.open();
  safety.finish(holding.begin(safety), "given-up");
  assert.equal(existsSync(holding.scratch.file("journal")), true);
});

Deno.test("CrashSafety.finish() with a store removes the file only where its copies are about to be dropped", () => {
  for (const [ending, left] of [["given-up", false], ["restarted", true], ["unsure", true]] as const) {
    using stage = new Stage();
    const safety = stage.open({ FDSTORE: "100" });
    safety.finish(stage.begin(safety), ending);
    assert.equal(existsSync(stage.scratch.file("journal")), left);
  }
});

Deno.test("CrashSafety.finish() carries the lineage on, unless the locks are given up", () => {
  for (const [ending, lineage] of [["restarted", "l1"], ["given-up", undefined]] as const) {
    using stage = new Stage();
    stage.processes.set(7, owner(7).start);
    stage.file([grantOf(stage)]);
    const safety = stage.open();
    safety.finish(stage.begin(safety), ending);
    const fd = stage.sys.open(stage.scratch.file("journal"), O_RDWR, 0);
    const found = readLog(new SharedMemory(kernel, fd));
    if (typeof found === "string") assert.fail(found);
    assert.deepEqual([found.state.locks.size, readCarried(found.state.carried).lineage], [1, lineage]);
  }
});

Deno.test("CrashSafety.carriedChanged() has a change in the journal before what is recorded next, also over an end", () => {
  using stage = new Stage();
  stage.file([grantOf(stage)]);
  stage.processes.set(7, owner(7).start);
  const safety = stage.open();
  const daemon = stage.begin(safety);
  const triesNow = () => {
    const fd = stage.sys.open(stage.scratch.file("journal"), O_RDWR, 0);
    const found = readLog(new SharedMemory(kernel, fd));
    kernel.close(fd);
    if (typeof found === "string") assert.fail(found);
    return readCarried(found.state.carried).tries?.map(({ value }) => value);
  };
  assert.equal(triesNow(), undefined);
  stage.tries = [{ value: "v", changed: [{ key: "m", before: "b", after: "a" }] }];
  safety.carriedChanged();
  let recorded = false;
  safety.recorder?.log.whenRecorded(() => recorded = true);
  assert.deepEqual([recorded, triesNow()], [true, ["v"]]);
  safety.finish(daemon, "restarted");
  assert.deepEqual(triesNow(), ["v"]);
});

Deno.test("CrashSafety.leave() takes everything out of the store, and stay() stores it again", () => {
  using stage = new Stage();
  const safety = stage.open({ FDSTORE: "100" });
  const daemon = stage.begin(safety);
  stage.since();
  let left = false;
  safety.leave(() => left = true);
  assert.deepEqual(stage.since(), ["-tripwire-0", "-journal", "-tripwire-1", "BARRIER=1"]);
  // Nobody received the copy that was sent, so the pipe hangs up.
  while (!left) stage.loop.turn(1000);
  safety.stay(daemon);
  assert.deepEqual(stage.since(), ["tripwire-0", "journal", "tripwire-1"]);
});

Deno.test("CrashSafety.listening() has the listening sockets of now stored in the place of others", () => {
  using stage = new Stage();
  const safety = stage.open({ FDSTORE: "100" });
  const daemon = stage.begin(safety);
  stage.since();
  safety.listening(daemon);
  assert.deepEqual(stage.since(), []);
});

/** A file system that takes so many bytes of a file with a name. */
function roomFor(bytes: number): Partial<Sys> {
  return {
    pwrite: (fd, text, at) => {
      if (Deno.readLinkSync(`/proc/self/fd/${fd}`).startsWith("/memfd:")) return kernel.pwrite(fd, text, at);
      return at >= bytes ? -ENOSPC : kernel.pwrite(fd, text.subarray(0, bytes - at), at);
    },
  };
}

Deno.test("CrashSafety in a full /run begins without a journal, leaves nothing of one, and says so", () => {
  for (const bytes of [0, 4096, 65_536, 139_264]) {
    using stage = new Stage(roomFor(bytes));
    const safety = stage.open();
    assert.equal(safety.recorder, undefined);
    stage.begin(safety);
    assert.deepEqual(stage.log.lines, [
      "error: No journal, a crash would lose the locks: pwrite journal: No space left on device (ENOSPC)",
    ]);
    assert.deepEqual([...Deno.readDirSync(stage.scratch.path)], []);
  }
});

Deno.test("CrashSafety in a full /run has its journal in memory where systemd keeps that", () => {
  using stage = new Stage(roomFor(4096));
  const safety = stage.open({ FDSTORE: "100" });
  stage.begin(safety);
  assert.deepEqual(stage.since(), ["tripwire-0", "journal", "tripwire-1"]);
  assert.equal(safety.sound, true);
  assert.deepEqual(stage.log.lines, [
    "warning: The journal is in memory alone, and would be lost if systemd dropped its copy: pwrite journal: No space left on device (ENOSPC)",
  ]);
  assert.deepEqual([...Deno.readDirSync(stage.scratch.path)], []);
});
