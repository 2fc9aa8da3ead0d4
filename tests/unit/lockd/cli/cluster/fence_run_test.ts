import assert from "node:assert/strict";
import { CommandError } from "../../../../../src/chassis/cli/command.ts";
import { FenceRun, type FenceRunParts } from "../../../../../src/lockd/cli/cluster/fence_run.ts";
import { mostSilent } from "../../../../../src/lockd/cli/cluster/silent_watch.ts";
import { encodeRecord } from "../../../../../src/lockd/cluster/keys/records.ts";
import { decodeSession } from "../../../../../src/lockd/cluster/keys/session_record.ts";
import { FENCE_PROTOCOL } from "../../../../../src/lockd/cluster/fencing/fence_messages.ts";
import type { ProgramResult } from "../../../../../src/os/program_result.ts";
import { PlayedCluster } from "./played_cluster.ts";

const COMMAND = "/etc/libvirt/fence";
const SUCCESS: ProgramResult = { kind: "ended", code: 0, output: "done\n" };

/** Three hosts, of which `a` is silent and has two locks, and `b` has it fenced. */
class Stage extends PlayedCluster {
  readonly stages: string[] = [];
  readonly runs: { argv: readonly string[]; variables: Readonly<Record<string, string>>; at: number }[] = [];
  /** How the program ends, and what happens meanwhile. */
  program: () => ProgramResult = () => SUCCESS;
  /** Called after each pause. */
  paused: () => void = () => {};
  wrong: string | undefined;
  leases = 0;

  constructor(more: { lost?: number; quiet?: true; left?: true; name?: string; data?: string } = {}) {
    super();
    this.host("a", { heard: false, ...more });
    this.host("b");
    this.host("c");
    this.lock("s-a", "one");
    this.lock("s-a", "two");
  }

  get entry() {
    return this.questions.get(this.keys.session("s-a"))[0] ?? assert.fail("the session is gone");
  }

  get state(): string | undefined {
    return decodeSession(this.entry).fencing?.state;
  }

  get locks(): number {
    return this.etcd.keys(this.keys.exclusives).length;
  }

  /** The host writes its session anew, as its daemon does. */
  bump(): void {
    const { fencing: _, ...record } = decodeSession(this.entry);
    this.etcd.put(this.entry.key, encodeRecord({ ...record, nonce: `n${this.now}` }));
  }

  run(more: Partial<FenceRunParts> = {}) {
    return new FenceRun({
      task: {
        protocol: FENCE_PROTOCOL,
        cluster: "test",
        link: "/run/link",
        endpoints: { urls: [] },
        session: "s-a",
        from: "kvm-b",
        reason: "domain 'web' asks",
        command: COMMAND,
        silenceMs: 60_000,
        limitMs: 60_000,
      },
      questions: this.questions,
      keys: this.keys,
      lease: () => String(++this.leases),
      nonce: () => "n",
      clock: () => this.now,
      now: () => 1000 + this.now,
      pause: (milliseconds) => {
        this.now += milliseconds;
        this.paused();
      },
      tell: (stage) => void this.stages.push(`${stage} ${this.now}`),
      wrongWith: () => this.wrong,
      execute: (argv, variables) => {
        this.runs.push({ argv, variables, at: this.now });
        return this.program();
      },
      ...more,
    }).run();
  }
}

Deno.test("a host of which nothing is heard for 60 s and that does not object within 10 s is fenced by a program", () => {
  const stage = new Stage({ data: "ipmi 7" });
  let token = 0;
  stage.program = () => {
    assert.equal(stage.state, "condemned");
    token = stage.entry.changedAt;
    assert.deepEqual(stage.etcd.keys(stage.keys.duty("s-a")).length, 1);
    return SUCCESS;
  };
  assert.deepEqual(stage.run(), { kind: "fenced", freed: 2 });
  assert.deepEqual(stage.stages, ["watching 0", "condemned 60000", "running 70000"]);
  assert.deepEqual(stage.runs, [{
    at: 70_000,
    argv: [COMMAND, "kvm-a", "a"],
    variables: {
      VIRTLOCKD_FENCE_NAME: "kvm-a",
      VIRTLOCKD_FENCE_HOST: "a",
      VIRTLOCKD_FENCE_SESSION: "s-a",
      VIRTLOCKD_FENCE_BOOT: "boot-s-a",
      VIRTLOCKD_FENCE_TOKEN: String(token),
      VIRTLOCKD_FENCE_DATA: "ipmi 7",
      VIRTLOCKD_FENCE_CLUSTER: "test",
      VIRTLOCKD_FENCE_FROM: "kvm-b",
      VIRTLOCKD_FENCE_REASON: "domain 'web' asks",
    },
  }]);
  assert.deepEqual(decodeSession(stage.entry).fencing, {
    state: "fenced",
    by: "virtlockd",
    from: "kvm-b",
    at: 61_000,
    command: COMMAND,
  });
  assert.equal(stage.locks, 0);
  assert.deepEqual(stage.etcd.keys(stage.keys.duty("s-a")), []);
});

Deno.test("only exit code 0 is a program's word", () => {
  const ends: readonly (readonly [ProgramResult, string])[] = [
    [
      { kind: "ended", code: 1, output: "trying\nno route to it\n" },
      "ended with exit code 1: no route to it",
    ],
    [{ kind: "ended", code: 127, output: "" }, "ended with exit code 127"],
    [{ kind: "failed", reason: "it was killed by signal 9" }, "/fence: it was killed by signal 9"],
    [{ kind: "failed", reason: "it did not end within 60 s" }, "/fence: it did not end within 60 s"],
  ];
  for (const [end, reason] of ends) {
    const stage = new Stage();
    stage.program = () => end;
    const ended = stage.run();
    assert.equal(ended.kind, "failed");
    assert.ok(ended.kind === "failed" && ended.reason.endsWith(reason), JSON.stringify(ended));
    assert.equal(stage.state, "condemned");
    assert.equal(stage.locks, 2);
    // Another host may try at once.
    assert.deepEqual(stage.etcd.keys(stage.keys.duty("s-a")), []);
  }
});

Deno.test("a host that shows that it lives is not fenced, whenever it does", () => {
  for (const at of [0, 3000, 57_000, 60_000, 60_500, 69_500, 70_000]) {
    const stage = new Stage();
    let done = false;
    stage.paused = () => {
      if (done || stage.now < at) return;
      done = true;
      stage.bump();
    };
    const ended = stage.run();
    // Of one that objects while it is watched the watch begins anew: it may fall silent once more.
    const watched = at <= 60_000;
    assert.equal(ended.kind, watched ? "fenced" : "over", `at ${at}`);
    assert.equal(stage.runs.length, watched ? 1 : 0, `at ${at}`);
    assert.ok(!watched || (stage.runs[0]?.at ?? 0) >= at + 70_000, `at ${at}`);
    assert.equal(stage.state, watched ? "fenced" : undefined, `at ${at}`);
  }
});

Deno.test("a host that is heard of again is left alone, also right before the program runs", () => {
  for (const at of [0, 30_000, 70_000]) {
    const stage = new Stage();
    stage.paused = () => {
      if (stage.now < at) return;
      stage.put(stage.keys.host("a"), { session: "s-a", boot: "b", name: "kvm-a" });
    };
    assert.deepEqual(stage.run(), { kind: "over", reason: "it is heard of again" });
    assert.deepEqual(stage.runs, []);
  }
});

Deno.test("a host that objects while its program runs is not fenced, whatever that says", () => {
  const stage = new Stage();
  stage.program = () => {
    stage.bump();
    return SUCCESS;
  };
  const ended = stage.run();
  assert.match(
    ended.kind === "failed" ? ended.reason : "",
    /fence has ended with exit code 0, which says .*written anew since: it lives\. Nothing was fenced; mend the program/,
  );
  assert.equal(stage.state, undefined);
  assert.equal(stage.locks, 2);
});

Deno.test("some hosts are left to people", () => {
  const over = (stage: Stage, reason: RegExp) => {
    const ended = stage.run();
    assert.equal(ended.kind, "over");
    assert.match(ended.kind === "over" ? ended.reason : "", reason);
    assert.deepEqual(stage.runs, []);
  };
  over(new Stage({ quiet: true }), /its daemon was stopped in order while guests had locks/);
  over(new Stage({ left: true }), /it has left the cluster/);
  over(
    new Stage({ lost: 1 }),
    /its guests had lost 1 lock when it was fenced before.*cluster fence s-a --dead/,
  );
  const rebooted = new Stage();
  rebooted.host("a", { session: "s-new" });
  over(rebooted, /another start of host 'kvm-a' is heard of, which would be hit/);
  const fenced = new Stage();
  fenced.etcd.put(
    fenced.entry.key,
    encodeRecord({
      ...decodeSession(fenced.entry),
      fencing: { state: "fenced", by: "ann", from: "desk", at: 1 },
    }),
  );
  over(fenced, /it has been fenced by ann on desk/);
});

Deno.test("so many silent hosts are more likely etcd's fault or the network's: none is fenced unasked", () => {
  const stage = new Stage();
  stage.delete(stage.keys.host("c"));
  const ended = stage.run();
  assert.equal(ended.kind, "later");
  assert.match(
    ended.kind === "later" ? ended.reason : "",
    /2 of 3 hosts are silent at once \(kvm-a, kvm-c\), and at most 1 may be/,
  );
  assert.deepEqual(stage.runs, []);
  assert.equal(stage.state, undefined);
});

Deno.test("right before the program runs it is looked again how many are silent, and whose turn it is", () => {
  const changes: readonly (readonly [(stage: Stage) => void, RegExp])[] = [
    [(stage) => stage.delete(stage.keys.host("c")), /2 of 3 hosts are silent at once/],
    [(stage) => stage.delete(stage.keys.duty("s-a")), /etcd was slow/],
    [
      (stage) => stage.put(stage.keys.duty("s-a"), { by: "kvm-c", nonce: "x" }),
      /host 'kvm-c' is having it fenced/,
    ],
  ];
  for (const [change, reason] of changes) {
    const stage = new Stage();
    stage.paused = () => {
      if (stage.now === 70_000) change(stage);
    };
    const ended = stage.run();
    assert.match(ended.kind === "later" ? ended.reason : "", reason);
    assert.deepEqual(stage.runs, []);
    assert.equal(stage.state, "condemned");
  }
});

Deno.test("a host that somebody else is having fenced is left to him", () => {
  const stage = new Stage();
  stage.put(stage.keys.duty("s-a"), { by: "kvm-c", nonce: "x" });
  assert.deepEqual(stage.run(), { kind: "later", reason: "host 'kvm-c' is having it fenced" });
  assert.deepEqual(stage.runs, []);
  assert.equal(stage.etcd.keys(stage.keys.duty("s-a")).length, 1);
});

Deno.test("a program that cannot be relied upon is not run, also when that shows at the last moment", () => {
  const stage = new Stage();
  stage.wrong = "it is not executable";
  assert.deepEqual(stage.run(), { kind: "failed", reason: "it is not executable" });
  assert.equal(stage.state, undefined);
  const late = new Stage();
  late.paused = () => void (late.wrong = late.now < 70_000 ? undefined : "it is gone");
  assert.deepEqual(late.run(), { kind: "failed", reason: "it is gone" });
  assert.deepEqual(late.runs, []);
});

Deno.test("a name that a program might take for something else is not given to it", () => {
  const stage = new Stage({ name: "--all" });
  const ended = stage.run();
  assert.match(ended.kind === "failed" ? ended.reason : "", /'--all' is no name of a host/);
  assert.deepEqual(stage.runs, []);
  assert.equal(stage.state, undefined);
});

Deno.test("etcd that does not answer before the program runs is a failure, and after it is waited for", () => {
  const early = new Stage();
  early.before = () => {
    if (early.now > 60_000) throw new CommandError(2, "etcd does not answer");
  };
  assert.deepEqual(early.run(), { kind: "failed", reason: "etcd does not answer" });
  assert.deepEqual(early.runs, []);
  const late = new Stage();
  let away = 0;
  late.program = () => {
    late.before = () => {
      if (away++ < 5) throw new CommandError(2, "etcd does not answer");
    };
    return SUCCESS;
  };
  assert.deepEqual(late.run(), { kind: "fenced", freed: 2 });
});

Deno.test("a look that comes long after the one before proves nothing of the time between", () => {
  const stage = new Stage();
  let once = false;
  stage.paused = () => {
    if (once || stage.now < 57_000) return;
    once = true;
    stage.now += 100_000;
  };
  stage.run();
  assert.ok((stage.runs[0]?.at ?? 0) >= 157_000 + 60_000);
});

Deno.test("a daemon that has gone ends it before the program, and not after", () => {
  const stage = new Stage();
  const gone = () => {
    throw new CommandError(1, "the daemon does not want it any more");
  };
  assert.deepEqual(stage.run({ pause: gone }), {
    kind: "failed",
    reason: "the daemon does not want it any more",
  });
  const condemned = new Stage();
  condemned.paused = () => {
    if (condemned.now > 60_000) gone();
  };
  assert.equal(condemned.run().kind, "over");
  assert.deepEqual([stage.runs, condemned.runs], [[], []]);
});

Deno.test("how many hosts may be silent: one of two or three, and a third of more", () => {
  assert.deepEqual([1, 2, 3, 4, 5, 6, 9, 64].map(mostSilent), [1, 1, 1, 1, 1, 2, 3, 21]);
});
