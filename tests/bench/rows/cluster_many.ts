import { setTimeout } from "node:timers/promises";
import { LockClient, testOwner } from "../../support/lock_client.ts";
import { childrenOf, processUsage } from "../../support/process_usage.ts";
import { withSimulatedMember } from "../cluster/simulated_member.ts";
import type { DaemonUnderTest } from "../daemon_under_test.ts";
import type { Figure, Line } from "../line.ts";
import type { Row } from "../row.ts";

/** As many as the simulation has for each client, and 40,000 in all: more than descriptors are allowed. */
const LOCKS_EACH = 10;
const CLIENTS = 4000;
/** An idle host takes so much of a CPU at most, with its link, in ms of each second: 0.5%. */
const MOST_IDLE = 5;
/** Messages of an idle host to etcd, more than with one lock, in each second at most. */
const MOST_MORE = 0.2;
/** What a lock takes in etcd's database at most, in bytes: as docs/cluster-etcd.md has it, with room. */
const MOST_BYTES = 1024;
/** From its restart until a host locks again, in s. */
const MOST_RESTART = 5;
/**
 * How long after its last request a host counts as idle, in ms. For some 20 s the runtime tidies up what many
 * requests have left.
 */
const SETTLE = 30_000;
/** How long the code of a link that was just started is still compiled, where its host is idle, in ms. */
const COMPILED = 120_000;
/** Five times as long as a host's proofs are apart, in ms. */
const WATCH = 15_000;
const PATIENCE_MS = 60_000;
/** How long a daemon may take to become another image, in ms. */
const LIMIT_MS = 30_000;
/** ACQUIRE_RESOURCE's flag: the file is made on demand. */
const AUTOCREATE = 2;

/**
 * What a host of a cluster costs that has many locks, and nothing to do.
 *
 * The restart is one by SIGUSR1. A daemon that is killed would have nothing left: its lock files are numbers
 * that only its own memory knows, and no service manager can keep them for the next one.
 */
export const clusterManyRow: Row = {
  name: "cluster-many",
  summary: `an idle host of a cluster with one lock and with ${
    CLIENTS * LOCKS_EACH
  } (simulated), and its restart`,
  run: (bench) =>
    withSimulatedMember(bench, async ({ etcd, daemon, links }) => {
      const { pid } = daemon.target;
      const pids = () => [pid, ...links.flatMap(({ pid: link = 0 }) => childrenOf(link))];
      await using _first = await oneLock(daemon, "one");
      const begun = await watch(pids(), etcd.urls, SETTLE);
      const one = await watch(pids(), etcd.urls, COMPILED);
      const clients = bench.scaled(CLIENTS);
      const empty = await databaseOf(etcd.urls);
      const held = await bench.hold(daemon, clients, LOCKS_EACH);
      const many = await watch(pids(), etcd.urls, SETTLE);
      const full = await databaseOf(etcd.urls);
      const restart = await restarted(daemon);
      await held.release();
      return lines(clients * LOCKS_EACH, { begun, one, many, empty, full }, restart);
    }),
};

/** What an idle host costs. */
interface Idle {
  /** CPU of the daemon and its link, in ms of each second. */
  readonly cpu: Figure;
  /** Messages to etcd, in each second. */
  readonly messages: Figure;
}

/** What was watched: with one lock in the first minute and later, and with many. */
interface Watched {
  readonly begun: Idle;
  readonly one: Idle;
  readonly many: Idle;
  /** etcd's database, before these and with them. */
  readonly empty: Database;
  readonly full: Database;
}

/** How large the database of a member is, in bytes. */
interface Database {
  readonly size: number;
  /** What is left of it without what is free. */
  readonly used: number;
}

/**
 * Watches a daemon and its link while nobody asks it for anything.
 *
 * @param settle what is waited before, in ms
 */
async function watch(pids: readonly number[], urls: readonly string[], settle: number): Promise<Idle> {
  const used = () => pids.reduce((sum, pid) => sum + processUsage(pid).cpu, 0);
  await setTimeout(settle);
  const [cpu, messages] = [used(), await received(urls)];
  await setTimeout(WATCH);
  const seconds = WATCH / 1000;
  return {
    cpu: { value: (used() - cpu) / seconds },
    messages: { value: (await received(urls) - messages) / seconds },
  };
}

/** How many messages all members of an etcd have got by now. */
async function received(urls: readonly string[]): Promise<number> {
  const texts = await Promise.all(urls.map(metricsOf));
  const counters = texts.flatMap((
    text,
  ) => [...text.matchAll(/^grpc_server_msg_received_total\{.*\} (\S+)$/gm)]);
  return counters.reduce((sum, [, count]) => sum + Number(count), 0);
}

/** The largest database of all members of an etcd. */
async function databaseOf(urls: readonly string[]): Promise<Database> {
  const texts = await Promise.all(urls.map(metricsOf));
  const largest = (name: string) => {
    const gauge = new RegExp(`^etcd_mvcc_db_total_size_${name} (\\S+)$`, "m");
    return Math.max(...texts.map((text) => Number(gauge.exec(text)?.[1])));
  };
  return { size: largest("in_bytes"), used: largest("in_use_in_bytes") };
}

async function metricsOf(url: string): Promise<string> {
  return await (await fetch(`${url}/metrics`)).text();
}

/** What a restart was for those that want a lock. */
interface Restart {
  /** From SIGUSR1 until the next image has given one, in s. */
  readonly whole: Figure;
  /** The longest time in which none was given, in s: the image before serves while it asks the next one. */
  readonly wait: Figure;
}

/** Has a guest take a lock and give it back, again and again, until another image has given it one. */
async function restarted({ target }: DaemonUnderTest): Promise<Restart> {
  const name = "over-the-restart";
  await using client = await LockClient.connect(target.socket, PATIENCE_MS);
  await client.register(testOwner(1, name));
  const image = imageOf(target.pid);
  Deno.kill(target.pid, "SIGUSR1");
  const begun = performance.now();
  const end = begun + LIMIT_MS;
  let longest = 0;
  for (let last = begun, changed = false; !changed; last = performance.now()) {
    if (last > end) throw new Error(`Restart: it is the same image after ${LIMIT_MS / 1000} s`);
    // Before it asks: the answer is the next image's then.
    changed = imageOf(target.pid) !== image;
    await client.acquire(target.lockspace, name, AUTOCREATE);
    await client.release(target.lockspace, name);
    longest = Math.max(longest, performance.now() - last);
  }
  return { whole: { value: (performance.now() - begun) / 1000 }, wait: { value: longest / 1000 } };
}

/** What a process executes: where the kernel has put that is another place each time. */
function imageOf(pid: number): string {
  return Deno.readFileSync(`/proc/${pid}/auxv`).toHex();
}

/** A guest that has one lock. */
async function oneLock({ target }: Pick<DaemonUnderTest, "target">, name: string): Promise<LockClient> {
  const client = await LockClient.connect(target.socket, PATIENCE_MS);
  await client.register(testOwner(1, name));
  await client.acquire(target.lockspace, name, AUTOCREATE);
  return client;
}

function lines(count: number, { begun, one, many, empty, full }: Watched, restart: Restart): Line[] {
  const row = "cluster-many";
  const idle = { row, unit: "ms CPU / s", better: "less", theirs: undefined } as const;
  const note = "lock files are simulated: they cost no descriptor";
  const used = Math.round((full.used - empty.used) / count);
  return [
    {
      ...idle,
      title: "cluster: idle host with its link, 1 lock, first minute",
      ours: begun.cpu,
    },
    {
      ...idle,
      title: "cluster: idle host with its link, 1 lock",
      ours: one.cpu,
      goal: { kind: "most", value: MOST_IDLE },
    },
    {
      ...idle,
      title: `cluster: idle host with its link, ${count} locks`,
      ours: { ...many.cpu, note },
      goal: { kind: "most", value: MOST_IDLE },
    },
    {
      ...idle,
      title: `cluster: messages of an idle host to etcd, ${count} locks`,
      unit: "per s",
      ours: { ...many.messages, note: `${one.messages.value.toFixed(2)} with 1 lock` },
      goal: { kind: "most", value: Math.round((one.messages.value + MOST_MORE) * 100) / 100 },
    },
    {
      row,
      title: `cluster: a lock in etcd's database, of ${count}`,
      unit: "bytes",
      better: "less",
      ours: { value: (full.size - empty.size) / count, note: `${used} of them in use` },
      theirs: undefined,
      goal: { kind: "most", value: MOST_BYTES },
    },
    {
      row,
      title: `cluster: restart with ${count} locks, until another one is granted`,
      unit: "s",
      better: "less",
      ours: restart.whole,
      theirs: undefined,
      goal: { kind: "most", value: MOST_RESTART },
    },
    {
      row,
      title: `cluster: the same, the longest time in which none is granted`,
      unit: "s",
      better: "less",
      ours: restart.wait,
      theirs: undefined,
    },
  ];
}
