import assert from "node:assert/strict";
import { F_DUPFD_CLOEXEC, SOCK_SEQPACKET } from "../../../../src/os/constants.ts";
import { EMFILE, ENOENT } from "../../../../src/os/errno.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import type { SpawnOptions, Sys } from "../../../../src/os/sys.ts";
import { must, SystemError } from "../../../../src/os/system_error.ts";
import { HelperStarter } from "../../../../src/lockd/storage/helper_starter.ts";
import { type Asked, PlayedHelper } from "./played_helper.ts";
import { Turning } from "../../../support/storage_fixture.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";

const COMMAND = {
  path: "/usr/sbin/virtlockd",
  argv: ["virtlockd", "internal-storage", "1"],
  env: ["PATH=/bin"],
};

/** A starter whose first process the test plays: it ends as soon as the test has read what it was told. */
class Stage implements Disposable {
  readonly #before = openDescriptors();
  readonly turning: Turning;
  readonly starter: HelperStarter;
  /** Played processes, by their sockets. */
  readonly spawned: { options: SpawnOptions; process: PlayedHelper; pid: number }[] = [];
  readonly reaped: number[] = [];
  readonly #all: PlayedHelper[] = [];

  /** The socket of a spawner from before, and that spawner. */
  readonly inherited: number | undefined;
  readonly spawner: PlayedHelper | undefined;

  constructor(faults: Partial<Sys> = {}, inherit = false) {
    const real = linuxSys();
    if (inherit) {
      const [near, far] = socketPair();
      this.inherited = near;
      this.spawner = this.play(far);
    }
    const sys: Sys = {
      ...real,
      spawn: (options) => {
        const socket = must(
          real.fcntl(options.descriptors[3] as number, F_DUPFD_CLOEXEC, 0),
          "dup",
          "socket",
        );
        // Not by Deno, which has a descriptor for each child and closes it at some later time.
        const pid = must(real.spawn({ ...options, path: "/bin/true", descriptors: [] }), "spawn", "true");
        // Until it executes that it has copies of this process's descriptors, also of ends of sockets that
        // are closed here.
        while (!/\) Z /.test(Deno.readTextFileSync(`/proc/${pid}/stat`))) continue;
        this.spawned.push({ options, process: this.play(socket), pid });
        return pid;
      },
      waitChild: (pid, wait, status) => {
        assert.equal(wait, false);
        // One that is asked for before it has ended is waited for: the test decides when that is.
        const ended = real.waitChild(pid, true, status);
        this.reaped.push(ended);
        return ended;
      },
      ...faults,
    };
    this.turning = new Turning(sys);
    this.starter = new HelperStarter(this.turning, COMMAND, this.inherited);
  }

  play(socket: number): PlayedHelper {
    const process = new PlayedHelper(linuxSys(), socket);
    this.#all.push(process);
    return process;
  }

  /** A socket pair; its far end is given to a helper. */
  start(): { near: number; failed: unknown } {
    const [near, far] = socketPair();
    let failed: unknown;
    try {
      this.starter.start(far);
    } catch (error) {
      failed = error;
    }
    linuxSys().close(far);
    return { near, failed };
  }

  [Symbol.dispose](): void {
    this.starter.close();
    for (const process of this.#all) process.end();
    assert.equal(this.turning.ledger.size, 0);
    this.turning[Symbol.dispose]();
    assert.deepEqual(openedSince(this.#before), []);
  }
}

function socketPair(): [number, number] {
  const pair = linuxSys().socketPair(SOCK_SEQPACKET);
  if (typeof pair === "number") throw new SystemError("socketpair", "test", pair);
  return pair;
}

/** The sockets that came with messages, each of which asks for a process. */
function spawnsOf(asked: readonly (Asked | "end")[]): number[] {
  return asked.map((one) => {
    if (one === "end") throw new Error("The stream has ended");
    assert.deepEqual(one.message, { kind: "spawn", command: COMMAND });
    assert.equal(one.descriptors.length, 1);
    return one.descriptors[0] as number;
  });
}

Deno.test("HelperStarter has the first helper and a spawner for others started by a process that then ends", () => {
  using stage = new Stage();
  const { near } = stage.start();
  assert.equal(stage.spawned.length, 1);
  const [{ options, process, pid } = assert.fail("nothing spawned")] = stage.spawned;
  assert.deepEqual([options.path, options.argv, options.env], [COMMAND.path, COMMAND.argv, COMMAND.env]);
  assert.equal(options.newSession, true);
  const asked = process.read();
  assert.equal(asked.pop(), "end");
  const [spawner, helper] = spawnsOf(asked).map((socket) => stage.play(socket));
  linuxSys().close(near);
  assert.deepEqual(helper?.readShort(), ["end"]);
  const second = stage.start();
  assert.equal(stage.spawned.length, 1);
  const [socket = -1] = spawnsOf(spawner?.read() ?? []);
  linuxSys().close(second.near);
  assert.deepEqual(stage.play(socket).readShort(), ["end"]);
  stage.turning.until(() => stage.reaped.length > 0 || undefined);
  assert.deepEqual(stage.reaped, [pid]);
});

Deno.test("HelperStarter starts another spawner when the first has ended", () => {
  using stage = new Stage();
  linuxSys().close(stage.start().near);
  stage.spawned[0]?.process.readShort();
  // Nobody has the spawner's socket any more.
  stage.turning.until(() => stage.reaped.length > 0 || undefined);
  while (stage.turning.loop.turn(0) > 0);
  linuxSys().close(stage.start().near);
  assert.equal(stage.spawned.length, 2);
  stage.turning.until(() => stage.reaped.length > 1 || undefined);
});

Deno.test("HelperStarter.start() throws when no process can be started", () => {
  using stage = new Stage({ spawn: () => -ENOENT });
  const { near, failed } = stage.start();
  linuxSys().close(near);
  assert.deepEqual(failed, new SystemError("Start storage helper", "/usr/sbin/virtlockd", ENOENT));
});

Deno.test("HelperStarter.start() throws when there are no descriptors", () => {
  for (const allowed of [0, 1]) {
    let pairs = 0;
    const real = linuxSys();
    using stage = new Stage({ socketPair: (type) => pairs++ < allowed ? real.socketPair(type) : -EMFILE });
    const { near, failed } = stage.start();
    linuxSys().close(near);
    assert.deepEqual(failed, new SystemError("socketpair", "storage helper", EMFILE));
  }
});

Deno.test("HelperStarter waits for its first process after a second when it cannot watch it", () => {
  using stage = new Stage({ pidfdOpen: () => -EMFILE });
  const timers: { milliseconds: number; task: () => void }[] = [];
  const { loop } = stage.turning;
  const after = loop.after.bind(loop);
  loop.after = (milliseconds, task) => {
    timers.push({ milliseconds, task });
    return after(milliseconds, task);
  };
  linuxSys().close(stage.start().near);
  stage.spawned[0]?.process.readShort();
  assert.deepEqual(timers.map(({ milliseconds }) => milliseconds), [1000]);
  timers[0]?.task();
  assert.deepEqual(stage.reaped, [stage.spawned[0]?.pid]);
});

Deno.test("HelperStarter.rest() lets the spawner end, but not a pinned one", () => {
  using stage = new Stage();
  linuxSys().close(stage.start().near);
  const [asked = assert.fail("nothing asked"), ...rest] = stage.spawned[0]?.process.read() ?? [];
  const [spawner = assert.fail("no spawner")] = spawnsOf([asked]).map((socket) => stage.play(socket));
  for (const other of rest) if (other !== "end") { for (const fd of other.descriptors) linuxSys().close(fd); }
  assert.equal(stage.starter.handover, undefined);
  stage.starter.pin();
  stage.starter.rest();
  assert.deepEqual(spawner.readShort(), []);
  assert.notEqual(stage.starter.handover, undefined);
  stage.starter.close();
  assert.deepEqual(spawner.readShort(), ["end"]);
  assert.equal(stage.starter.handover, undefined);
  stage.turning.until(() => stage.reaped.length > 0 || undefined);
});

Deno.test("HelperStarter uses the spawner of an earlier image", () => {
  using stage = new Stage({}, true);
  const { near } = stage.start();
  linuxSys().close(near);
  assert.equal(stage.spawned.length, 0);
  assert.equal(stage.starter.handover, stage.inherited);
  stage.starter.rest();
  assert.deepEqual(stage.spawner?.readShort(), ["spawn"]);
});
