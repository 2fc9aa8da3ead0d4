import assert from "node:assert/strict";
import { decodeSession } from "../../src/lockd/cluster/records.ts";
import { ClusterHost } from "../support/cluster_host.ts";
import { Etcd } from "../support/etcd.ts";
import { Holder } from "../support/holder.ts";
import { refusal } from "../support/lock_refusal.ts";
import { until } from "../support/until.ts";
import { installMissing } from "./support/debian_packages.ts";
import { FenceAttempt } from "./support/fence_attempt.ts";
import { FenceProgram } from "./support/fence_program.ts";

// Hosts that are fenced by a program, with a real etcd.

await installMissing(["etcd-server", "etcd-client", "systemd"]);

const AUTOCREATE = 2;
/** Longer than anything here may take, in ms. */
const PATIENCE = 120_000;

/** Host `a` with a lock and without a life, and host `b`, on which it is to be fenced. */
class Dead implements AsyncDisposable {
  readonly etcd: Etcd;
  readonly a: ClusterHost;
  readonly b: ClusterHost;
  readonly session: string;

  private constructor(etcd: Etcd, a: ClusterHost, b: ClusterHost, session: string) {
    this.etcd = etcd;
    this.a = a;
    this.b = b;
    this.session = session;
  }

  /** @param settings of host b */
  static async make(settings?: string): Promise<Dead> {
    const etcd = await Etcd.start();
    const a = await ClusterHost.start(etcd, "a", {
      settings: 'storage_timeout = 3\ncluster_fence_data = "ipmi 10.0.0.7"\n',
    });
    await using guest = await Holder.start(a.daemon);
    await guest.acquire(a.space, "disk", AUTOCREATE);
    const [key = ""] = [...(await etcd.keys("/virtlockd/test/session/")).keys()];
    const b = await ClusterHost.start(etcd, "b", settings === undefined ? {} : { settings });
    await b.startFencing();
    await a.daemon.kill();
    a.killLinks();
    await until(
      "a not to be heard of",
      async () => (await etcd.keys("/virtlockd/test/host/")).size === 1,
      20_000,
    );
    return new Dead(etcd, a, b, key.slice(key.lastIndexOf("/") + 1));
  }

  attempt(program: FenceProgram | string, limitMs?: number): Promise<FenceAttempt> {
    const command = typeof program === "string" ? program : program.path;
    return FenceAttempt.begin(this.etcd, this.b, this.session, command, limitMs);
  }

  /** What is said of the session of a. */
  async fencing() {
    const key = `/virtlockd/test/session/${this.session}`;
    const value = (await this.etcd.keys(key)).get(key) ?? "";
    return decodeSession({ key, value, changedAt: 1 }).fencing;
  }

  async locks(): Promise<number> {
    return (await this.etcd.keys("/virtlockd/test/lock/")).size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.b[Symbol.asyncDispose]();
    await this.a[Symbol.asyncDispose]();
    await this.etcd[Symbol.asyncDispose]();
  }
}

Deno.test("a program that succeeds is the word by which a host is fenced, and is told whom it has to hit", async () => {
  await using dead = await Dead.make();
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
});

Deno.test("a program that does not succeed has fenced nobody, however it ends, and the next one may", async () => {
  await using dead = await Dead.make();
  const cases: readonly (readonly [string, RegExp])[] = [
    ["echo no route to the machine >&2; exit 7", /fence ended with exit code 7: no route to the machine$/],
    // Its children are killed with it, and do not keep anybody waiting.
    ["trap '' TERM; sleep 1000 & exec yes", /it wrote 1048576 bytes and more$/],
    ["trap '' TERM; sleep 1000 & sleep 1000", /it did not end within 2 s$/],
  ];
  for (const [script, reason] of cases) {
    using program = new FenceProgram(script);
    using attempt = await dead.attempt(program, 2000);
    const end = await attempt.ended;
    assert.equal(end?.kind, "failed", script);
    assert.match(end?.kind === "failed" ? end.reason : "", reason);
    assert.equal((await dead.fencing())?.state, "condemned", script);
    assert.equal(await dead.locks(), 1, script);
  }
  using program = new FenceProgram("(sleep 1000 >/dev/null 2>&1 &) ; exit 0");
  using attempt = await dead.attempt(program);
  assert.deepEqual(await attempt.ended, { kind: "fenced", freed: 1 });
});

Deno.test("a program that cannot be relied upon is not run, and its host is not condemned", async () => {
  await using dead = await Dead.make();
  using program = new FenceProgram("exit 0");
  const refused = async (command: string, reason: RegExp) => {
    using attempt = await dead.attempt(command);
    const end = await attempt.ended;
    assert.match(end?.kind === "failed" ? end.reason : "", reason);
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
});

Deno.test("a host that is heard of again is not fenced: while it is watched, condemned, or shot at", async () => {
  await using dead = await Dead.make();
  using quick = new FenceProgram("exit 0");
  {
    using attempt = await dead.attempt(quick);
    await until("it to be watched", () => attempt.stages.includes("watching"));
    await dead.etcd.control(
      "put",
      "/virtlockd/test/host/a",
      JSON.stringify({ session: dead.session, boot: "b", name: "a" }),
    );
    assert.deepEqual(await attempt.ended, { kind: "over", reason: "it is heard of again" });
    await dead.etcd.control("del", "/virtlockd/test/host/a");
  }
  const bump = async () => {
    const key = `/virtlockd/test/session/${dead.session}`;
    const value = (await dead.etcd.keys(key)).get(key) ?? "";
    const { fencing: _, ...record } = decodeSession({ key, value, changedAt: 1 });
    await dead.etcd.control("put", key, JSON.stringify({ ...record, nonce: crypto.randomUUID() }));
  };
  {
    using attempt = await dead.attempt(quick);
    await until("it to be condemned", async () => (await dead.fencing())?.state === "condemned", PATIENCE);
    await bump();
    const end = await attempt.ended;
    assert.match(
      end?.kind === "over" ? end.reason : "",
      /it lives, for its session in etcd was written anew/,
    );
  }
  assert.deepEqual(quick.calls, []);
  {
    using slow = new FenceProgram(
      'touch "$(dirname "$0")/begun"; echo x > "$(dirname "$0")/begun"; sleep 4; exit 0',
    );
    using attempt = await dead.attempt(slow);
    await until("the program to run", () => slow.has("begun"), PATIENCE);
    await bump();
    const end = await attempt.ended;
    assert.match(
      end?.kind === "failed" ? end.reason : "",
      /has ended with exit code 0, which says that the host cannot write any more, and its session .* was written anew/,
    );
  }
  assert.equal(await dead.fencing(), undefined);
  assert.equal(await dead.locks(), 1);
});

Deno.test("two that fence one host at once: one of them runs its program, the other one leaves it to that", async () => {
  await using dead = await Dead.make();
  using slow = new FenceProgram("sleep 3; exit 0");
  using one = await dead.attempt(slow);
  using other = await dead.attempt(slow);
  const ends = [await one.ended, await other.ended];
  assert.deepEqual(ends.map((end) => end?.kind).sort(), ["fenced", "later"]);
  assert.equal(slow.calls.length, 1);
  using again = await dead.attempt(slow);
  assert.deepEqual(await again.ended, { kind: "over", reason: "it has been fenced by virtlockd on b" });
  assert.equal(slow.calls.length, 1);
});

Deno.test("a fencing whose daemon is killed ends before the program runs; one that runs is taken at its word", async () => {
  await using dead = await Dead.make();
  using program = new FenceProgram('echo x > "$(dirname "$0")/begun"; sleep 2; exit 0');
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
  await until("it to be fenced", async () => (await dead.fencing())?.state === "fenced", PATIENCE);
  assert.equal(program.calls.length, 1);
});

Deno.test("a fencing that is killed with its program has fenced nobody", async () => {
  await using dead = await Dead.make();
  using program = new FenceProgram('echo x > "$(dirname "$0")/begun"; sleep 2; exit 0');
  using attempt = await dead.attempt(program);
  await until("the program to run", () => program.has("begun"), PATIENCE);
  for (const pid of dead.b.fencingPids) Deno.kill(pid, "SIGKILL");
  assert.equal(await attempt.ended, undefined);
  assert.equal((await dead.fencing())?.state, "condemned");
  assert.equal(await dead.locks(), 1);
});

Deno.test("who asks for the lock of a host that is not heard of has it fenced, and gets the lock", async () => {
  using program = new FenceProgram("exit 3");
  await using dead = await Dead.make(
    `storage_timeout = 3\ncluster_fence_command = "${program.path}"\ncluster_fence_timeout = 20\n`,
  );
  const { b } = dead;
  await using next = await Holder.start(b.daemon);
  assert.match(
    await refusal(next.acquire(b.space, "disk", AUTOCREATE)),
    /locked by domain .* of which nothing is heard/,
  );
  await b.daemon.log.match(
    /Nothing is heard of host '.*', and domain '.*' asks for the lock scsi\/disk of domain '.*': it is condemned/,
    PATIENCE,
  );
  await b.daemon.log.match(
    /Host '.*' is not fenced, and its locks stay: .*fence ended with exit code 3\. It is tried again in 30 s/,
    PATIENCE,
  );
  const status: { sections: { cluster: { fencing: { hosts: { state: string; failures: number }[] } } } } =
    JSON
      .parse((await b.daemon.command("status", "--json")).stdout);
  const [shown] = status.sections.cluster.fencing.hosts;
  assert.deepEqual([shown?.state, shown?.failures], ["failed", 1]);
  assert.match(
    (await b.daemon.command("metrics")).stdout,
    /^virtlockd_cluster_fence_failures_total 1$/m,
  );
  program.write("exit 0");
  b.daemon.signal("SIGHUP");
  await b.daemon.log.match(/Host '.*' is fenced: .*fence has said so\. 1 lock of it freed/, PATIENCE);
  await next.acquire(b.space, "disk", AUTOCREATE);
});

Deno.test("a host whose daemon was stopped in order while a guest runs is not fenced by a program", async () => {
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
    20_000,
  );
  using program = new FenceProgram("exit 0");
  using attempt = await FenceAttempt.begin(etcd, b, key.slice(key.lastIndexOf("/") + 1), program.path);
  const end = await attempt.ended;
  assert.match(
    end?.kind === "over" ? end.reason : "",
    /its daemon was stopped in order while guests had locks/,
  );
  assert.deepEqual(program.calls, []);
  assert.match((await b.command("hosts")).stdout, /silent.*, its daemon was stopped$/m);
});
