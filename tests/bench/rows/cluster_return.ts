import { spawn } from "node:child_process";
import { setTimeout } from "node:timers/promises";
import type { Etcd } from "../../support/etcd.ts";
import { LockClient, testOwner } from "../../support/lock_client.ts";
import { until } from "../../support/until.ts";
import { withSimulatedMember } from "../cluster/simulated_member.ts";
import type { DaemonUnderTest } from "../daemon_under_test.ts";
import type { Line } from "../line.ts";
import type { Row } from "../row.ts";

/** Tens of locks of a guest that ends while etcd is away: the simulation has ten of each number. */
const FEW = 100;
const MANY = 1000;
const LOCKS_EACH = 10;
/** From the return of etcd until all of the few locks have gone, in s. */
const MOST = 3;
/** How long etcd is away before guests end, in ms: longer than a host waits before it calls it that. */
const AWAY = 7000;
/** How long the guest has for ending, in ms: behind that the daemon has nothing to do but wait for etcd. */
const END = 3000;
/** So many locks are taken at once. */
const AT_ONCE = 20;
/** ACQUIRE_RESOURCE's flag: the file is made on demand. */
const AUTOCREATE = 2;
const LIMIT_MS = 120_000;
const LOCKS = "/virtlockd/default/lock/";
/** What etcdctl says of an etcd that does not answer, or has no leader. */
const AWAY_ERRORS = /deadline exceeded|etcdserver: /;

/** How soon a host gives back what was released while etcd was away. */
export const clusterReturnRow: Row = {
  name: "cluster-return",
  summary: `etcd comes back: ${FEW * LOCKS_EACH} and ${
    MANY * LOCKS_EACH
  } locks (simulated) were released meanwhile`,
  run: (bench) =>
    withSimulatedMember(bench, async ({ etcd, daemon }) => {
      const few = await putRight(etcd, daemon, FEW);
      const clients = bench.scaled(MANY);
      return lines(few, clients * LOCKS_EACH, await putRight(etcd, daemon, clients));
    }),
};

/** Seconds from the first answer of an etcd that was away until all locks have gone that guests had. */
async function putRight(
  etcd: Etcd,
  daemon: DaemonUnderTest,
  clients: number,
): Promise<number> {
  // A process of which it can be told that it writes nothing: else its locks stay for a person to judge.
  const guest = spawn("sleep", ["infinity"], { stdio: "ignore" });
  const owner = testOwner(guest.pid ?? 0, `guest-${clients}`);
  await Promise.all(Array.from({ length: AT_ONCE }, async (_, first) => {
    await using client = await LockClient.connect(daemon.target.socket, LIMIT_MS);
    await client.register(owner);
    for (let number = first; number < clients; number += AT_ONCE) {
      for (let lock = 0; lock < LOCKS_EACH; lock++) {
        await client.acquire(daemon.target.lockspace, `held-${number}-${lock}`, AUTOCREATE);
      }
    }
  }));
  etcd.stop();
  await setTimeout(AWAY);
  guest.kill("SIGKILL");
  await setTimeout(END);
  etcd.resume();
  // Somebody else than the host has asked it and has an answer: that counts as its return.
  await until("etcd to answer", async () => await locksIn(etcd) !== undefined, LIMIT_MS);
  const begun = performance.now();
  await until("the locks to go", async () => await locksIn(etcd) === 0, LIMIT_MS);
  return (performance.now() - begun) / 1000;
}

/** How many locks etcd has; undefined: it does not answer yet. */
async function locksIn(etcd: Etcd): Promise<number | undefined> {
  try {
    const text = await etcd.control("get", LOCKS, "--prefix", "--keys-only", "--limit=1", "--write-out=json");
    const { count = 0 }: { count?: number } = JSON.parse(text);
    return count;
  } catch (error) {
    if (error instanceof Error && AWAY_ERRORS.test(error.message)) return undefined;
    throw error;
  }
}

function lines(few: number, count: number, many: number): Line[] {
  const row = "cluster-return";
  const note = "lock files are simulated: they cost no descriptor";
  return [
    {
      row,
      title: `cluster: etcd is back, ${FEW * LOCKS_EACH} locks to be given back`,
      unit: "s",
      better: "less",
      ours: { value: few, note },
      theirs: undefined,
      goal: { kind: "most", value: MOST },
    },
    {
      row,
      title: `cluster: etcd is back, ${count} locks to be given back`,
      unit: "per s",
      better: "more",
      ours: { value: count / many, note },
      theirs: undefined,
    },
  ];
}
