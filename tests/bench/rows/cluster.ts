import type { ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import type { Transaction } from "../../../src/etcd/wire/transaction.ts";
import { Etcd } from "../../support/etcd.ts";
import { BareLink } from "../cluster/bare_link.ts";
import { joinCluster, LINK, untilMember } from "../cluster/join_cluster.ts";
import { type Bench, loadFigure, type Pair } from "../bench.ts";
import type { LoadResult, Target } from "../load/task.ts";
import type { Figure, Line } from "../line.ts";
import type { Row } from "../row.ts";

const ETCD = "/usr/bin/etcd";
/** How many times a bare pair of one client takes, and how much more in ms, at most. */
const MOST = { times: 1.3, milliseconds: 0.5 } as const;
/** The same of the slowest of a hundred. */
const MOST_P99 = 2;
/** Share of the bare rate of 50 clients at least. */
const LEAST = 0.5;
/** A sample is so many times as long as those of other rows: in 500 ms there would be fifty pairs. */
const SAMPLES = 4;
/**
 * So many samples of either are not measured: a link and a daemon that have just been started run code that
 * is not compiled yet, for some 2,000 pairs, and the first ones take half as long again.
 */
const WARM = 5;

/** A lock of a cluster's, beside bare transactions of the same shape through a link of the same kind. */
export const clusterRow: Row = {
  name: "cluster",
  summary: "acquire + release of a lock of a cluster's, beside bare transactions of etcd",
  async run(bench) {
    if (!existsSync(ETCD)) throw new Error(`${ETCD} is missing: apt-get install etcd-server`);
    await using etcd = await Etcd.start(3, "disk");
    await etcd.openCluster("default", ["bench"]);
    const children: ChildProcess[] = [];
    try {
      return await bench.withOurs(
        async ({ target }) => {
          await untilMember(target);
          await using bare = await BareLink.open(LINK, etcd.urls);
          const first = { ours: loadPairs(bench, target, 1), theirs: await barePairs(bench, bare, 1) };
          await inTurn(bench, target, bare, 1, WARM);
          const one = await inTurn(bench, target, bare, 1, bench.effort.rounds);
          await inTurn(bench, target, bare, 50, 1);
          return lines(first, one, await inTurn(bench, target, bare, 50, bench.effort.rounds));
        },
        (place) => {
          children.push(joinCluster(place, etcd.urls));
          return {};
        },
      );
    } finally {
      for (const child of children) child.kill("SIGKILL");
    }
  },
};

function lines(first: Pair<LoadResult>, one: Pair<Figure>, many: Pair<Figure>): Line[] {
  const note = "in this line it is etcd itself, asked by the same link";
  const [p50 = NaN, bare = NaN] = [one.ours.latency?.p50, one.theirs.latency?.p50];
  const [p99 = NaN, bareP99 = NaN] = [one.ours.latency?.p99, one.theirs.latency?.p99];
  return [
    {
      row: "cluster",
      title: "cluster: 1 client, acquire + release, median",
      unit: "ms",
      better: "less",
      ours: { ...one.ours, value: p50 / 1000 },
      theirs: { ...one.theirs, value: bare / 1000, note },
      goal: { kind: "most", value: Math.round(MOST.times * bare + MOST.milliseconds * 1000) / 1000 },
    },
    {
      row: "cluster",
      title: "cluster: 1 client, acquire + release, 99 of 100",
      unit: "ms",
      better: "less",
      ours: { value: p99 / 1000 },
      theirs: { value: bareP99 / 1000, note },
      goal: { kind: "most", value: Math.round(MOST_P99 * bareP99) / 1000 },
    },
    {
      row: "cluster",
      title: "cluster: 50 clients, acquire + release",
      unit: "per s",
      better: "more",
      ours: many.ours,
      theirs: { ...many.theirs, note },
      goal: { kind: "ratio", least: LEAST },
    },
    {
      row: "cluster",
      title: "cluster: 1 client, acquire + release, median of the first ones",
      unit: "ms",
      better: "less",
      ours: { value: first.ours.latency.p50 / 1000 },
      theirs: { value: first.theirs.latency.p50 / 1000, note },
    },
  ];
}

/** Both in turn. @param rounds so many samples of each */
async function inTurn(
  bench: Bench,
  target: Target,
  link: BareLink,
  clients: number,
  rounds: number,
): Promise<Pair<Figure>> {
  const both = {
    ours: () => Promise.resolve(loadPairs(bench, target, clients)),
    theirs: () => barePairs(bench, link, clients),
  };
  const { ours, theirs } = await bench.alternate(both, (sample) => sample(), rounds);
  const { cpuPerOperation: _daemon, loadCpu: _load, ...figure } = loadFigure(theirs);
  return { ours: loadFigure(ours), theirs: figure };
}

function loadPairs(bench: Bench, target: Target, clients: number): LoadResult {
  return bench.load(target, "pair", clients, SAMPLES * bench.effort.sample);
}

/** Pairs of transactions like those of a lock, so many at once. */
async function barePairs({ effort }: Bench, link: BareLink, clients: number): Promise<LoadResult> {
  const milliseconds = SAMPLES * effort.sample;
  const times: number[] = [];
  const end = performance.now() + milliseconds;
  await Promise.all(Array.from({ length: clients }, async (_, client) => {
    for (let begun = performance.now(); begun < end;) {
      await link.ask(take(`bare${client}`));
      await link.ask(give(`bare${client}`));
      const now = performance.now();
      times.push((now - begun) * 1000);
      begun = now;
    }
  }));
  times.sort((a, b) => a - b);
  const rank = (share: number) => times[Math.floor(times.length * share)] ?? NaN;
  return {
    milliseconds,
    operations: times.length,
    latency: { p50: rank(0.5), p99: rank(0.99), max: times.at(-1) ?? NaN },
    daemonCpu: NaN,
    loadCpu: NaN,
  };
}

/** About as long as the record of a lock. */
const VALUE = "x".repeat(200);

function take(name: string): Transaction {
  return {
    compare: [
      { kind: "changed-at", key: "/bare/session", revision: 0 },
      { kind: "changed-at", key: "/bare/meta", revision: 0 },
      { kind: "changed-at", key: `/bare/lock/${name}`, revision: 0 },
      { kind: "none-below", prefix: `/bare/share/${name}/` },
    ],
    success: [
      { op: "put", key: `/bare/lock/${name}`, value: VALUE },
      { op: "put", key: `/bare/own/${name}`, value: VALUE },
    ],
    failure: [],
  };
}

function give(name: string): Transaction {
  return {
    compare: [
      { kind: "changed-at", key: "/bare/session", revision: 0 },
      { kind: "changed-at", key: "/bare/meta", revision: 0 },
      { kind: "value", key: `/bare/lock/${name}`, value: VALUE },
    ],
    success: [{ op: "delete", key: `/bare/lock/${name}` }, { op: "delete", key: `/bare/own/${name}` }],
    failure: [],
  };
}
