import type { ChildProcess } from "node:child_process";
import { setTimeout } from "node:timers/promises";
import { Etcd } from "../../support/etcd.ts";
import { LockClient, testOwner } from "../../support/lock_client.ts";
import { childrenOf, processUsage } from "../../support/process_usage.ts";
import { joinCluster, untilMember } from "../cluster/join_cluster.ts";
import type { DaemonUnderTest } from "../daemon_under_test.ts";
import type { Figure, Line } from "../line.ts";
import type { Row } from "../row.ts";

const CLIENTS = 40;
const LOCKS_EACH = 1000;
/** Descriptors of the daemon that are no locks: its own, and two for each client. */
const OTHER_DESCRIPTORS = 200 + 2 * CLIENTS;
/** An idle host takes so much of a CPU at most, with its link, in ms of each second: 0.5%. */
const MOST_IDLE = 5;
/** From its restart until a host locks again, in s. */
const MOST_RESTART = 5;
/** How long after its last request a daemon counts as idle, in ms. */
const SETTLE = 5000;
/** Three times as long as a host's proofs are apart, in ms. */
const WATCH = 9000;
const PATIENCE_MS = 60_000;
const IMAGE_MS = 500;
/** ACQUIRE_RESOURCE's flag: the file is made on demand. */
const AUTOCREATE = 2;

/** What a host of a cluster costs that has many locks, and nothing to do. */
export const clusterManyRow: Row = {
  name: "cluster-many",
  summary: `CPU of an idle host of a cluster with one lock and with ${CLIENTS * LOCKS_EACH}, and its restart`,
  async run(bench) {
    await using etcd = await Etcd.start(3);
    await etcd.openCluster("default", ["bench"]);
    const links: ChildProcess[] = [];
    try {
      return await bench.withOurs(
        async (daemon) => {
          await untilMember(daemon.target);
          const pids = () => [daemon.target.pid, ...links.flatMap(({ pid = 0 }) => childrenOf(pid))];
          await using _first = await oneLock(daemon, "one");
          const one = await watch(pids());
          const each = Math.max(1, Math.min(bench.scaled(LOCKS_EACH), room(daemon.target.pid)));
          const held = await bench.hold(daemon, CLIENTS, each);
          const many = await watch(pids());
          const restart = await restarted(daemon);
          await held.release();
          return lines(CLIENTS * each, one, many, restart);
        },
        (place) => {
          links.push(joinCluster(place, etcd.urls));
          return {};
        },
      );
    } finally {
      for (const link of links) link.kill("SIGKILL");
    }
  },
};

/** How many locks each client may have, as far as the daemon may open files. */
function room(pid: number): number {
  const [, hard = "0"] = /^Max open files +\d+ +(\d+)/m.exec(Deno.readTextFileSync(`/proc/${pid}/limits`)) ??
    [];
  return Math.floor((Number(hard) - OTHER_DESCRIPTORS) / CLIENTS);
}

/** CPU of a daemon and its link, in ms of each second. */
async function watch(pids: readonly number[]): Promise<Figure> {
  const used = () => pids.reduce((sum, pid) => sum + processUsage(pid).cpu, 0);
  await setTimeout(SETTLE);
  const before = used();
  await setTimeout(WATCH);
  return { value: (used() - before) / (WATCH / 1000) };
}

/** From SIGUSR1 until a new guest has its lock, in s. */
async function restarted({ target }: DaemonUnderTest): Promise<Figure> {
  Deno.kill(target.pid, "SIGUSR1");
  const begun = performance.now();
  // The old image takes no more requests by then.
  await setTimeout(IMAGE_MS);
  await using _client = await oneLock({ target }, "after-the-restart");
  return { value: (performance.now() - begun) / 1000 };
}

/** A guest that has one lock. */
async function oneLock({ target }: Pick<DaemonUnderTest, "target">, name: string): Promise<LockClient> {
  const client = await LockClient.connect(target.socket, PATIENCE_MS);
  await client.register(testOwner(1, name));
  await client.acquire(target.lockspace, name, AUTOCREATE);
  return client;
}

function lines(count: number, one: Figure, many: Figure, restart: Figure): Line[] {
  const row = "cluster-many";
  const idle = { row, unit: "ms CPU / s", better: "less", theirs: undefined } as const;
  return [
    {
      ...idle,
      title: "cluster: idle host with its link, 1 lock",
      ours: one,
      goal: { kind: "most", value: MOST_IDLE },
    },
    {
      ...idle,
      title: `cluster: idle host with its link, ${count} locks`,
      ours: many,
      goal: { kind: "most", value: MOST_IDLE },
    },
    {
      row,
      title: `cluster: restart with ${count} locks, until another one is granted`,
      unit: "s",
      better: "less",
      ours: restart,
      theirs: undefined,
      goal: { kind: "most", value: MOST_RESTART },
    },
  ];
}
