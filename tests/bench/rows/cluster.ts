import type { ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import type { Transaction } from "../../../src/etcd/wire/transaction.ts";
import { Etcd } from "../../support/etcd.ts";
import { BareLink } from "../cluster/bare_link.ts";
import { joinCluster, LINK, untilMember } from "../cluster/join_cluster.ts";
import { type Bench, loadFigure } from "../bench.ts";
import type { Figure, Line } from "../line.ts";
import type { Row } from "../row.ts";

const ETCD = "/usr/bin/etcd";
/** How many times a bare pair of one client takes, and how much more in ms, at most. */
const MOST = { times: 1.3, milliseconds: 0.5 } as const;
/** The same of the slowest of a hundred. */
const MOST_P99 = 2;
/** Share of the bare rate of 50 clients at least. */
const LEAST = 0.5;

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
        async (daemon) => {
          const one = loadFigure([await sample(bench, daemon.target, 1)]);
          const many = loadFigure([await sample(bench, daemon.target, 50)]);
          await using bare = await BareLink.open(LINK, etcd.urls);
          const bareOne = await barePairs(bare, 1, bench.effort.sample * bench.effort.rounds);
          const bareMany = await barePairs(bare, 50, bench.effort.sample * bench.effort.rounds);
          return lines(one, many, bareOne, bareMany);
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

function lines(one: Figure, many: Figure, bareOne: Figure, bareMany: Figure): Line[] {
  const note = "in this line it is etcd itself, asked by the same link";
  const [p50 = NaN, bare = NaN] = [one.latency?.p50, bareOne.latency?.p50];
  const [p99 = NaN, bareP99 = NaN] = [one.latency?.p99, bareOne.latency?.p99];
  return [
    {
      row: "cluster",
      title: "cluster: 1 client, acquire + release, median",
      unit: "ms",
      better: "less",
      ours: { ...one, value: p50 / 1000 },
      theirs: { ...bareOne, value: bare / 1000, note },
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
      ours: many,
      theirs: { ...bareMany, note },
      goal: { kind: "ratio", least: LEAST },
    },
  ];
}

/** One load of pairs, as long as all samples of other rows together. */
async function sample(bench: Bench, target: Parameters<Bench["load"]>[0], clients: number) {
  await untilMember(target);
  return bench.load(target, "pair", clients);
}

/** Pairs of transactions like those of a lock, so many at once. */
async function barePairs(link: BareLink, clients: number, milliseconds: number): Promise<Figure> {
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
    value: times.length / milliseconds * 1000,
    latency: { p50: rank(0.5), p99: rank(0.99), max: times.at(-1) ?? NaN },
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
