import assert from "node:assert/strict";
import { ClusterHost } from "../support/cluster_host.ts";
import { Etcd } from "../support/etcd.ts";
import { Holder } from "../support/holder.ts";
import { until } from "../support/until.ts";
import { DeadHost } from "./support/dead_host.ts";
import { installMissing } from "./support/debian_packages.ts";
import { FenceAttempt } from "./support/fence_attempt.ts";
import { FenceProgram } from "./support/fence_program.ts";
import { type Scenario, testSideBySide } from "./support/side_by_side.ts";

// Processes that fence a host of which nothing is heard, with a real etcd; a test stands for the daemon that
// has them begin.

await installMissing(["etcd-server", "etcd-client", "systemd"]);

const AUTOCREATE = 2;
/** Longer than anything here may take, in ms. */
const PATIENCE = 120_000;
/** So many scenarios go on at once: more of them do not get two processors to start anything. */
const AT_ONCE = 4;
/** A program that begins, and succeeds when it may. */
const HELD =
  'echo x > "$(dirname "$0")/begun"; until [ -e "$(dirname "$0")/go" ]; do sleep 0.1; done; exit 0';

function reasonOf(end: { kind: string; reason?: string } | undefined): string {
  return `${end?.kind}: ${end?.reason}`;
}

/** The program is the word by which a host is fenced, and is told whom it has to hit. */
async function succeeds(): Promise<void> {
  await using dead = await DeadHost.make();
  using program = new FenceProgram("exit 0");
  using attempt = await dead.attempt(program);
  assert.deepEqual(await attempt.ended, { kind: "fenced", freed: 1 });
  assert.deepEqual(attempt.stages, ["watching", "condemned", "running"]);
  const { at = 0, ...said } = await dead.fencing() ?? {};
  assert.deepEqual(said, { state: "fenced", by: "virtlockd", from: "b", command: program.path });
  assert.ok(at > 1_700_000_000_000);
  assert.deepEqual(program.calls, [`${Deno.hostname()} a ipmi 10.0.0.7`]);
  const { variables } = program;
  assert.deepEqual(
    [...variables.keys()].sort(),
    ["BOOT", "CLUSTER", "DATA", "FROM", "HOST", "NAME", "REASON", "SESSION", "TOKEN"].map((name) =>
      `VIRTLOCKD_FENCE_${name}`
    ),
  );
  assert.equal(variables.get("VIRTLOCKD_FENCE_SESSION"), dead.session);
  assert.equal(variables.get("VIRTLOCKD_FENCE_REASON"), "a test asks for it");
  assert.match(variables.get("VIRTLOCKD_FENCE_TOKEN") ?? "", /^[1-9]\d*$/);
  assert.equal(await dead.locks(), 0);
  await using next = await Holder.start(dead.b.daemon);
  await next.acquire(dead.b.space, "disk", AUTOCREATE);
  const { stdout } = await dead.b.command("hosts", "--json");
  const hosts: { host: string; fencing?: { command?: string } }[] = JSON.parse(stdout);
  assert.equal(hosts.find(({ host }) => host === "a")?.fencing?.command, program.path);
}

/** Ends of a program that are no word, and how long it may run, in ms. */
const VAIN_ENDS: readonly (readonly [script: string, reason: RegExp, limitMs: number])[] = [
  [
    "echo no route to the machine >&2; exit 7",
    /fence ended with exit code 7: no route to the machine$/,
    PATIENCE,
  ],
  ["kill -SEGV $$", /fence: it was killed by signal 11$/, PATIENCE],
  // Its children are killed with it, and do not keep anybody waiting.
  ["trap '' TERM; sleep 1000 & exec yes", /it wrote 1048576 bytes and more$/, PATIENCE],
  ["trap '' TERM; sleep 1000 & sleep 1000", /it did not end within 2 s$/, 2000],
];

/** A program that fails has fenced nobody. The next one may, also one that leaves something running. */
async function fails(ends: typeof VAIN_ENDS): Promise<void> {
  await using dead = await DeadHost.make();
  for (const [script, reason, limitMs] of ends) {
    using program = new FenceProgram(script);
    using attempt = await dead.attempt(program, { limitMs });
    const end = await attempt.ended;
    assert.equal(end?.kind, "failed", script);
    assert.match(reasonOf(end), reason);
    assert.equal((await dead.fencing())?.state, "condemned", script);
    assert.equal(await dead.locks(), 1, script);
  }
  using program = new FenceProgram("(sleep 1000 &) ; exit 0");
  using attempt = await dead.attempt(program);
  assert.deepEqual(await attempt.ended, { kind: "fenced", freed: 1 });
}

/** A program that cannot be relied upon is not run, and its host is not condemned. */
async function isUnfit(): Promise<void> {
  await using dead = await DeadHost.make();
  using program = new FenceProgram("exit 0");
  const refused = async (command: string, reason: RegExp) => {
    using attempt = await dead.attempt(command);
    assert.match(reasonOf(await attempt.ended), reason);
    assert.deepEqual(attempt.stages, []);
  };
  await refused("/nowhere/fence", /stat \/nowhere\/fence: No such file or directory/);
  await refused("/tmp", /\/tmp is no regular file/);
  Deno.chmodSync(program.path, 0o775);
  await refused(program.path, /others than its owner may write .*fence: chmod go-w /);
  Deno.chmodSync(program.path, 0o644);
  await refused(program.path, /fence is not executable: chmod 0755 /);
  assert.equal(await dead.fencing(), undefined);
  assert.deepEqual(program.calls, []);
  // It has no interpreter.
  using broken = new FenceProgram("exit 0", "/nowhere/sh");
  using attempt = await dead.attempt(broken);
  assert.match(reasonOf(await attempt.ended), /^failed: .*fence: .*No such file or directory/);
  assert.equal((await dead.fencing())?.state, "condemned");
}

/** A host that hung, and goes on: while it is watched, condemned, or shot at. */
async function livesAfterAll(): Promise<void> {
  await using dead = await DeadHost.make({ end: "stopped" });
  const { daemon } = dead.a;
  using program = new FenceProgram(HELD);
  const again = async () => {
    daemon.signal("SIGSTOP");
    await dead.untilSilent("a");
  };
  {
    // Until it is heard of.
    using attempt = await dead.attempt(program, { silenceMs: PATIENCE });
    await until("it to be watched", () => attempt.stages.includes("watching"), PATIENCE);
    daemon.signal("SIGCONT");
    assert.deepEqual(await attempt.ended, { kind: "over", reason: "it is heard of again" });
  }
  await again();
  {
    using attempt = await dead.attempt(program);
    await until("it to be condemned", () => attempt.stages.includes("condemned"), PATIENCE);
    daemon.signal("SIGCONT");
    assert.match(
      reasonOf(await attempt.ended),
      /^over: .*(it lives, for its session in etcd was written anew|heard of again)/,
    );
    assert.deepEqual(program.calls, []);
    await dead.untilFencing(undefined, PATIENCE);
  }
  await again();
  {
    using attempt = await dead.attempt(program);
    await until("the program to run", () => program.has("begun"), PATIENCE);
    daemon.signal("SIGCONT");
    await dead.untilFencing(undefined, PATIENCE);
    program.letGo();
    assert.match(
      reasonOf(await attempt.ended),
      /^failed: .* has ended with exit code 0, which says that the host cannot write any more, and its session .* was written anew/,
    );
  }
  assert.equal(await dead.fencing(), undefined);
  assert.equal(await dead.locks(), 1);
}

/** Two that fence one host at once: one of them runs its program, the other one leaves it to that. */
async function isElected(): Promise<void> {
  await using dead = await DeadHost.make({ living: ["b", "c"] });
  using slow = new FenceProgram("sleep 3; exit 0");
  const [b, c] = dead.living;
  using one = await dead.attempt(slow, { by: b });
  using other = await dead.attempt(slow, { by: c });
  const ends = [await one.ended, await other.ended];
  assert.deepEqual(ends.map((end) => end?.kind).sort(), ["fenced", "later"]);
  assert.match(ends.map(reasonOf).join(), /later: host '[bc]' is having it fenced/);
  assert.equal(slow.calls.length, 1);
  using again = await dead.attempt(slow, { by: c });
  assert.match(reasonOf(await again.ended), /^over: it has been fenced by virtlockd on [bc]$/);
  assert.equal(slow.calls.length, 1);
}

/** One that is killed with its program has fenced nobody; when its turn is over another host does it. */
async function passesOn(): Promise<void> {
  await using dead = await DeadHost.make({ living: ["b", "c"] });
  const [b, c] = dead.living;
  using program = new FenceProgram(HELD);
  // Its turn is as long as the program may run, and that has to be killed before.
  using attempt = await dead.attempt(program, { by: b, limitMs: 10_000 });
  await until("the program to run", () => program.has("begun"), PATIENCE);
  for (const pid of dead.b.fencingPids) Deno.kill(pid, "SIGKILL");
  assert.equal(await attempt.ended, undefined);
  assert.equal((await dead.fencing())?.state, "condemned");
  assert.equal(await dead.locks(), 1);
  program.letGo();
  for (let waited = 0;; waited++) {
    using next = await dead.attempt(program, { by: c });
    const end = await next.ended;
    if (end?.kind === "fenced") {
      assert.ok(waited > 0, "It has not waited for its turn");
      return;
    }
    assert.equal(reasonOf(end), "later: host 'b' is having it fenced");
  }
}

/** One whose daemon is killed ends before the program runs; one that runs is taken at its word. */
async function losesItsDaemon(): Promise<void> {
  await using dead = await DeadHost.make();
  using program = new FenceProgram(HELD);
  {
    const attempt = await dead.attempt(program);
    await until("it to be condemned", () => attempt.stages.includes("condemned"), PATIENCE);
    attempt[Symbol.dispose]();
    await until("the process to end", () => dead.b.fencingPids.length === 0, PATIENCE);
    assert.equal((await dead.fencing())?.state, "condemned");
    assert.deepEqual(program.calls, []);
  }
  const attempt = await dead.attempt(program);
  await until("the program to run", () => program.has("begun"), PATIENCE);
  attempt[Symbol.dispose]();
  program.letGo();
  await dead.untilFencing("fenced", PATIENCE);
  assert.equal(program.calls.length, 1);
}

/** A link that is killed, and an etcd that is away, while the program runs: its word is kept. */
async function losesEtcd(): Promise<void> {
  await using dead = await DeadHost.make();
  using program = new FenceProgram(HELD);
  using attempt = await dead.attempt(program);
  await until("the program to run", () => program.has("begun"), PATIENCE);
  dead.b.killLinks();
  dead.etcd.stop();
  program.letGo();
  // As long as etcd is away nobody is fenced, and it does not give up.
  await dead.b.daemon.log.match(/etcd/, PATIENCE);
  assert.deepEqual(attempt.stages, ["watching", "condemned", "running"]);
  dead.etcd.resume();
  assert.deepEqual(await attempt.ended, { kind: "fenced", freed: 1 });
  assert.equal(program.calls.length, 1);
}

/** A host whose daemon was stopped in order while a guest runs. */
async function isQuiet(): Promise<void> {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using b = await ClusterHost.start(etcd, "b");
  await b.startFencing();
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  await a.daemon.stop();
  const [key = ""] =
    [...(await etcd.keys("/virtlockd/test/session/"))].find(([, value]) => value.includes('"host":"a"')) ??
      [];
  await until(
    "a not to be heard of",
    async () => (await etcd.keys("/virtlockd/test/host/")).size === 1,
    PATIENCE,
    500,
  );
  using program = new FenceProgram("exit 0");
  using attempt = await FenceAttempt.on(etcd, b, key.slice(key.lastIndexOf("/") + 1), program.path);
  assert.match(
    reasonOf(await attempt.ended),
    /^over: its daemon was stopped in order while guests had locks/,
  );
  assert.deepEqual(program.calls, []);
  assert.match((await b.command("hosts")).stdout, /silent.*, its daemon was stopped$/m);
}

const SCENARIOS: readonly Scenario[] = [
  { name: "one is killed with its program: its turn passes on", run: passesOn },
  { name: "the host lives after all: watched, condemned, or shot at", run: livesAfterAll },
  { name: "programs that do not succeed have fenced nobody", run: () => fails(VAIN_ENDS.slice(0, 2)) },
  { name: "programs that do not end have fenced nobody", run: () => fails(VAIN_ENDS.slice(2)) },
  { name: "link and etcd are lost while the program runs", run: losesEtcd },
  { name: "its daemon is killed", run: losesItsDaemon },
  { name: "two at once", run: isElected },
  { name: "a program that succeeds", run: succeeds },
  { name: "programs that cannot be relied upon", run: isUnfit },
  { name: "a daemon that was stopped in order", run: isQuiet },
];

testSideBySide("a process fences a host by a program", AT_ONCE, SCENARIOS);
