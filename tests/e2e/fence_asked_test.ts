import assert from "node:assert/strict";
import { type ClusterHost, PATIENT } from "../support/cluster_host.ts";
import { Holder } from "../support/holder.ts";
import { refusal, refusalOf } from "../support/lock_refusal.ts";
import { reExec } from "../support/re_exec.ts";
import { until } from "../support/until.ts";
import { DeadHost } from "./support/dead_host.ts";
import { installMissing } from "./support/debian_packages.ts";
import { FenceProgram } from "./support/fence_program.ts";
import { type Scenario, testSideBySide } from "./support/side_by_side.ts";

// Daemons that have a host fenced because somebody asks for its lock, with a real etcd. Each waits for 60
// seconds of silence.

await installMissing(["etcd-server", "etcd-client", "systemd"]);

const AUTOCREATE = 2;
/** Longer than anything here may take, in ms. */
const PATIENCE = 150_000;
/** Pause between two tries to get a lock, in ms. */
const AGAIN = 200;

function settings({ path }: FenceProgram): string {
  return `${PATIENT}\ncluster_fence_command = "${path}"\ncluster_fence_timeout = 60\n`;
}

interface ShownFencing {
  readonly hosts: readonly { state: string; failures: number; reason?: string }[];
}

async function shownFencing({ daemon }: ClusterHost): Promise<ShownFencing> {
  return JSON.parse((await daemon.command("status", "--json")).stdout).sections.cluster.fencing;
}

/** Asks in vain, which has the host fenced. */
async function asks({ daemon, space }: ClusterHost, guest: Holder): Promise<void> {
  assert.match(
    await refusal(guest.acquire(space, "disk", AUTOCREATE)),
    /locked by domain .* of which nothing is heard/,
  );
  await daemon.log.match(/of which nothing is heard/);
}

/** Asks until the lock is granted. */
async function getsLock({ space }: ClusterHost, guest: Holder): Promise<void> {
  await until(
    "the lock",
    async () => await refusalOf(guest.acquire(space, "disk", AUTOCREATE)) === undefined,
    PATIENCE,
    AGAIN,
  );
}

/** A program that fails is told of everywhere, and tried again at a word. */
async function isTold(): Promise<void> {
  using program = new FenceProgram("exit 3");
  await using dead = await DeadHost.make({ settings: settings(program) });
  const { b } = dead;
  await using next = await Holder.start(b.daemon);
  await asks(b, next);
  await b.daemon.log.match(
    /Nothing is heard of host '.*', and domain '.*' asks for the lock scsi\/disk of domain '.*': it is condemned/,
    PATIENCE,
  );
  await b.daemon.log.match(
    /Host '.*' is not fenced, and its locks stay: .*fence ended with exit code 3\. It is tried again in 30 s/,
    PATIENCE,
  );
  const [shown] = (await shownFencing(b)).hosts;
  assert.deepEqual([shown?.state, shown?.failures], ["failed", 1]);
  assert.match(
    (await b.daemon.command("metrics")).stdout,
    /^virtlockd_cluster_fence_failures_total 1$/m,
  );
  assert.match((await b.command("hosts")).stdout, /condemned by virtlockd on \S+, .*, with .*\/fence$/m);
  assert.match((await b.command("status")).stdout, /1 live, 1 condemned/);
  b.daemon.signal("SIGHUP");
  await until(
    "it to be tried again",
    async () => (await shownFencing(b)).hosts[0]?.state === "watching",
    PATIENCE,
    AGAIN,
  );
}

/** Of two hosts whose guests ask one has it fenced, and the lock is free at once. */
async function isDoneOnce(): Promise<void> {
  using program = new FenceProgram("exit 0");
  await using dead = await DeadHost.make({ settings: settings(program), living: ["b", "c"] });
  await using stack = new AsyncDisposableStack();
  const guests: (readonly [ClusterHost, Holder])[] = [];
  for (const host of dead.living) guests.push([host, stack.use(await Holder.start(host.daemon))]);
  for (const [host, guest] of guests) await asks(host, guest);
  await Promise.any(
    dead.living.map(({ daemon }) =>
      daemon.log.match(/Host '.*' is fenced: .*fence has said so\. 1 lock of it freed/, PATIENCE)
    ),
  );
  assert.equal(await dead.locks(), 0);
  assert.equal(program.calls.length, 1);
  const [[host, guest] = assert.fail("nobody asks")] = guests;
  await guest.acquire(host.space, "disk", AUTOCREATE);
  assert.equal((await dead.fencing())?.state, "fenced");
}

/** A daemon that is killed while the program runs: its word counts, and the next daemon gets the lock. */
async function outlivesItsDaemon(): Promise<void> {
  using program = new FenceProgram(
    'echo x > "$(dirname "$0")/begun"; until [ -e "$(dirname "$0")/go" ]; do sleep 0.1; done; exit 0',
  );
  await using dead = await DeadHost.make({ settings: settings(program) });
  const { b } = dead;
  {
    await using next = await Holder.start(b.daemon);
    await asks(b, next);
    await until("the program to run", () => program.has("begun"), PATIENCE, AGAIN);
    await b.daemon.kill();
  }
  await b.startDaemon();
  await using next = await Holder.start(b.daemon);
  program.letGo();
  await getsLock(b, next);
  assert.equal(program.calls.length, 1);
  assert.equal((await dead.fencing())?.from, Deno.hostname());
}

/** A daemon that is executed anew, also with a slip in its settings, forgets nobody who has asked. */
async function outlivesReloads(): Promise<void> {
  using program = new FenceProgram("exit 0");
  await using dead = await DeadHost.make({ settings: settings(program) });
  const { b } = dead;
  await using next = await Holder.start(b.daemon);
  await asks(b, next);
  b.place.writeConfig("storage_timeout = 3\n");
  await reExec(b.daemon);
  b.configure();
  await reExec(b.daemon);
  const state = async () => (await shownFencing(b)).hosts[0]?.state;
  await until("it to begin anew", async () => await state() === "watching", PATIENCE, AGAIN);
  await b.daemon.log.match(/Host '.*' is fenced: .*fence has said so\. 1 lock of it freed/, PATIENCE);
  assert.equal(program.calls.length, 1);
  await next.acquire(b.space, "disk", AUTOCREATE);
}

/** Of three hosts two are silent: none is fenced unasked, and a person's word overrides that. */
async function isStorm(): Promise<void> {
  using program = new FenceProgram("exit 0");
  await using dead = await DeadHost.make({ settings: settings(program), living: ["b", "c"] });
  const [b, c] = dead.living;
  assert.ok(b !== undefined && c !== undefined);
  await using next = await Holder.start(b.daemon);
  await c.daemon.kill();
  c.killLinks();
  await dead.untilSilent("c");
  await asks(b, next);
  await b.daemon.log.match(/Host '.*' is not fenced yet: 2 of 3 hosts are silent at once/, PATIENCE);
  assert.equal((await shownFencing(b)).hosts[0]?.state, "waiting");
  assert.equal(await dead.fencing(), undefined);
  assert.deepEqual(program.calls, []);
  const { code, stderr } = await b.command("fence", "a", "--yes");
  assert.equal(code, 0, stderr);
  await next.acquire(b.space, "disk", AUTOCREATE);
}

const SCENARIOS: readonly Scenario[] = [
  { name: "of two that ask one does it, once", run: isDoneOnce },
  { name: "a daemon is killed while the program runs", run: outlivesItsDaemon },
  { name: "a daemon is executed anew", run: outlivesReloads },
  { name: "a program that fails is told of", run: isTold },
  { name: "too many hosts are silent", run: isStorm },
];

testSideBySide("who asks for the lock of a host that is not heard of has it fenced", 5, SCENARIOS);
