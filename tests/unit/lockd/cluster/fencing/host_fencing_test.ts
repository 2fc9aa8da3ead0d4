import assert from "node:assert/strict";
import {
  FENCE_PROTOCOL,
  type FenceNews,
  type FenceTask,
} from "../../../../../src/lockd/cluster/fencing/fence_messages.ts";
import { HostFencing } from "../../../../../src/lockd/cluster/fencing/host_fencing.ts";
import { EPOLLIN } from "../../../../../src/os/constants.ts";
import { EAGAIN, ENOENT } from "../../../../../src/os/errno.ts";
import { DescriptorLedger } from "../../../../../src/os/ledger.ts";
import { PlayedTime } from "../../../../support/played_time.ts";

const HOST = { session: "s-a", name: "kvm7" };
const REASON = "domain 'web' asks for the lock scsi/disk of domain 'db'";

/** Fencing whose processes the test plays. */
class Stage {
  readonly time = new PlayedTime();
  readonly told: string[] = [];
  command: string | undefined = "/fence";
  fault: string | undefined;
  connected = 0;
  readonly tasks: FenceTask[] = [];
  readonly #incoming: (Uint8Array | "end")[] = [];
  #nextFd = 9;
  readonly #handlers = new Map<number, (events: number) => void>();
  readonly fencing: HostFencing;

  constructor() {
    const sys = {
      socket: () => this.#nextFd++,
      connect: () => this.connected,
      close: () => 0,
      send: (_fd: number, bytes: Uint8Array) => {
        this.tasks.push(JSON.parse(new TextDecoder().decode(bytes)));
        return bytes.length;
      },
      read: (_fd: number, into: Uint8Array) => {
        const piece = this.#incoming.shift();
        if (piece === undefined) return -EAGAIN;
        if (piece === "end") return 0;
        into.set(piece);
        return piece.length;
      },
    };
    const loop = this.time.loop();
    const note = (what: string) => (host: string, reason: string, more?: unknown) => {
      this.told.push([what, host, reason, ...more === undefined ? [] : [more]].join(": "));
    };
    this.fencing = new HostFencing({
      sys,
      loop: {
        add: (fd, _events, handler) => void this.#handlers.set(fd, handler),
        remove: (fd) => void this.#handlers.delete(fd),
        after: (milliseconds, task) => loop.after(milliseconds, task),
        defer: (task) => loop.defer(task),
      },
      ledger: new DescriptorLedger(sys),
      socket: "/run/fence",
      command: () => this.command,
      limit: () => 20_000,
      wrongWith: () => this.fault,
      cluster: "prod",
      link: "/run/link",
      endpoints: { urls: ["http://etcd:2379"] },
      from: "kvm8",
      clock: () => this.time.now,
      now: () => 1000 + this.time.now,
      observer: {
        fenceCommandUnusable: (reason) => void this.told.push(`unusable: ${reason}`),
        fencingBegun: note("begun"),
        fencingWaits: note("waits"),
        fencingFailed: note("failed"),
        fencingOver: note("over"),
        fencingDone: note("done"),
      },
    });
  }

  /** Processes that fence just now. */
  get running(): number {
    return this.#handlers.size;
  }

  /** The process that fences tells something, or ends. */
  tell(...news: readonly (FenceNews | "end" | "nonsense")[]): void {
    for (const each of news) {
      this.#incoming.push(each === "end" ? each : new TextEncoder().encode(`${JSON.stringify(each)}\n`));
    }
    // The loop tells it anew as long as something can be read.
    while (this.#incoming.length > 0 && this.#handlers.size > 0) {
      for (const handler of [...this.#handlers.values()]) handler(EPOLLIN);
    }
  }
}

Deno.test("a host that is not heard of is fenced when somebody asks for its lock, once", () => {
  const stage = new Stage();
  stage.fencing.asked(HOST, REASON);
  stage.fencing.asked(HOST, REASON);
  assert.deepEqual(stage.tasks, [{
    protocol: FENCE_PROTOCOL,
    cluster: "prod",
    link: "/run/link",
    endpoints: { urls: ["http://etcd:2379"] },
    session: "s-a",
    from: "kvm8",
    reason: REASON,
    command: "/fence",
    silenceMs: 60_000,
    limitMs: 20_000,
  }]);
  stage.tell({ kind: "stage", stage: "watching" });
  assert.deepEqual(stage.fencing.status, {
    command: "/fence",
    hosts: [{ host: "kvm7", session: "s-a", state: "watching", sinceMs: 1000, failures: 0 }],
    fenced: 0,
    failures: 0,
  });
  stage.tell({ kind: "stage", stage: "condemned" }, { kind: "stage", stage: "running" });
  assert.equal(stage.fencing.status?.hosts[0]?.state, "running");
  stage.tell({ kind: "fenced", freed: 2 });
  assert.deepEqual(stage.told, [`begun: kvm7: ${REASON}`, "done: kvm7: /fence: 2"]);
  assert.deepEqual(stage.fencing.status, { command: "/fence", hosts: [], fenced: 1, failures: 0 });
  assert.equal(stage.running, 0);
});

Deno.test("without a program nobody is fenced, and nothing is shown", () => {
  const stage = new Stage();
  stage.command = undefined;
  stage.fencing.asked(HOST, REASON);
  assert.deepEqual(stage.tasks, []);
  assert.equal(stage.fencing.status, undefined);
});

Deno.test("what fails is tried again, after pauses that grow to ten minutes", () => {
  const stage = new Stage();
  stage.fencing.asked(HOST, REASON);
  const pauses: number[] = [];
  for (let tries = 0; tries < 7; tries++) {
    stage.tell({ kind: "failed", reason: "exit code 7" });
    const failed = stage.time.now;
    const begun = stage.tasks.length;
    // The limit of the process that has ended was taken back with it.
    while (stage.tasks.length === begun) stage.time.advance();
    pauses.push(stage.time.now - failed);
  }
  assert.deepEqual(pauses, [30_000, 60_000, 120_000, 300_000, 600_000, 600_000, 600_000]);
  assert.equal(stage.told[0], "failed: kvm7: exit code 7: 30000");
  const [shown] = stage.fencing.status?.hosts ?? [];
  assert.deepEqual([shown?.state, shown?.failures, shown?.reason], ["failed", 7, "exit code 7"]);
});

Deno.test("what nobody has asked for in an hour is not tried again, until somebody asks", () => {
  const stage = new Stage();
  stage.fencing.asked(HOST, REASON);
  let tries = 0;
  const failOn = (until: number) => {
    for (; stage.running > 0 && stage.time.now < until; tries++) {
      stage.tell({ kind: "failed", reason: "exit code 7" });
      while (stage.running === 0 && stage.fencing.status?.hosts.length === 1) stage.time.advance();
    }
  };
  failOn(3_000_000);
  stage.fencing.asked(HOST, REASON);
  failOn(Infinity);
  // An hour after it was asked for the second time.
  assert.ok(stage.time.now > 6_600_000 && stage.time.now < 7_900_000, `${stage.time.now}`);
  assert.equal(stage.told.at(-1), "over: kvm7: nobody has asked for a lock of it for an hour");
  assert.deepEqual(stage.fencing.status?.hosts, []);
  stage.fencing.asked(HOST, REASON);
  assert.equal(stage.tasks.length, tries + 1);
});

Deno.test("whatever becomes of the process is no fence: it ends, hangs, or talks nonsense", () => {
  const reasons = [
    (stage: Stage) => stage.tell({ kind: "stage", stage: "running" }, "end"),
    (stage: Stage) => stage.tell({ kind: "stage", stage: "running" }, "nonsense"),
    (stage: Stage) => stage.time.advance(),
  ].map((happen) => {
    const stage = new Stage();
    stage.fencing.asked(HOST, REASON);
    happen(stage);
    assert.equal(stage.fencing.status?.fenced, 0);
    assert.equal(stage.running, 0);
    return stage.told.at(-1);
  });
  assert.deepEqual(reasons, [
    "failed: kvm7: the process that fences has ended before it was done: journalctl --unit='virtlockd-fence@*' says why: 30000",
    "failed: kvm7: the process that fences has sent what is no message: 30000",
    "failed: kvm7: the process that fences hangs: 30000",
  ]);
});

Deno.test("where nobody listens that is told, with what to do", () => {
  const stage = new Stage();
  stage.connected = -ENOENT;
  stage.fencing.asked(HOST, REASON);
  stage.time.advance();
  assert.match(
    stage.told[0] ?? "",
    /^failed: kvm7: connect \/run\/fence: No such file .*: nobody listens there; install deno-virtlockd-cluster, and systemctl start virtlockd-fence\.socket: 30000$/,
  );
});

Deno.test("hosts are fenced one after the other, and one that fails does not keep the next one waiting", () => {
  const stage = new Stage();
  stage.fencing.asked(HOST, REASON);
  stage.fencing.asked({ session: "s-b", name: "kvm9" }, REASON);
  assert.deepEqual(stage.tasks.map(({ session }) => session), ["s-a"]);
  stage.tell({ kind: "failed", reason: "exit code 7" });
  assert.deepEqual(stage.tasks.map(({ session }) => session), ["s-a", "s-b"]);
  assert.equal(stage.running, 1);
});

Deno.test("what has to wait is told once for each reason, and what is over is not asked for again at once", () => {
  const stage = new Stage();
  stage.fencing.asked(HOST, REASON);
  for (let tries = 0; tries < 2; tries++) {
    stage.tell({ kind: "later", reason: "host 'kvm9' is having it fenced" });
    while (stage.running === 0) stage.time.advance();
  }
  stage.tell({ kind: "over", reason: "it is heard of again" });
  stage.fencing.asked(HOST, REASON);
  assert.deepEqual(stage.told, [
    "waits: kvm7: host 'kvm9' is having it fenced",
    "over: kvm7: it is heard of again",
  ]);
  assert.equal(stage.tasks.length, 3);
  stage.time.now += 60_000;
  stage.fencing.asked(HOST, REASON);
  assert.equal(stage.tasks.length, 4);
});

Deno.test("the next image has those fenced whose locks somebody has asked an earlier one for, and counts on", () => {
  const before = new Stage();
  assert.equal(before.fencing.wishes, undefined);
  before.time.now = 10_000.5;
  before.fencing.asked(HOST, REASON);
  before.fencing.asked({ session: "s-b", name: "kvm9" }, REASON);
  before.tell({ kind: "failed", reason: "exit code 7" });
  before.tell({ kind: "over", reason: "it is heard of again" });
  const { wishes } = before.fencing;
  assert.deepEqual(wishes, {
    cluster: "prod",
    hosts: [{ ...HOST, since: 11_000.5, reason: REASON, failures: 1, asked: 10_000 }],
  });
  const next = new Stage();
  next.time.now = 12_000;
  next.fencing.resume(wishes);
  assert.deepEqual(next.tasks, []);
  next.fencing.refresh();
  assert.deepEqual(next.tasks.map(({ session, reason }) => [session, reason]), [["s-a", REASON]]);
  next.tell({ kind: "failed", reason: "exit code 7" });
  assert.equal(next.told[0], "failed: kvm7: exit code 7: 60000");
  assert.equal(next.fencing.status?.hosts[0]?.failures, 2);
});

Deno.test("what an earlier image was asked for ends an hour after that too, with the program and with the cluster", () => {
  const wishes = (asked: number, cluster = "prod") => ({
    cluster,
    hosts: [{ ...HOST, since: 1000, reason: REASON, failures: 0, asked }],
  });
  const late = new Stage();
  late.time.now = 5_000_000;
  late.fencing.resume(wishes(1_000_000));
  late.fencing.refresh();
  assert.deepEqual(late.told, ["over: kvm7: nobody has asked for a lock of it for an hour"]);
  const elsewhere = new Stage();
  elsewhere.fencing.resume(wishes(0, "other"));
  elsewhere.fencing.refresh();
  const without = new Stage();
  without.command = undefined;
  without.fencing.resume(wishes(0));
  without.fencing.refresh();
  for (const { fencing, tasks } of [late, elsewhere, without]) {
    assert.deepEqual([fencing.wishes, tasks], [undefined, []]);
  }
});

Deno.test("a program that was configured anew is looked at, and tried at once", () => {
  const stage = new Stage();
  stage.fencing.asked(HOST, REASON);
  stage.tell({ kind: "failed", reason: "exit code 7" });
  stage.command = "/other";
  stage.fault = "/other is not executable";
  stage.fencing.refresh();
  assert.equal(stage.told.at(-1), "unusable: /other is not executable");
  assert.equal(stage.fencing.status?.fault, "/other is not executable");
  assert.equal(stage.tasks.at(-1)?.command, "/other");
  stage.command = undefined;
  stage.fencing.refresh();
  assert.equal(stage.running, 0);
  assert.equal(stage.fencing.status, undefined);
  stage.time.advance();
  assert.equal(stage.tasks.length, 2);
});
