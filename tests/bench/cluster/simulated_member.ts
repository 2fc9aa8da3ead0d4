import type { ChildProcess } from "node:child_process";
import { rmSync } from "node:fs";
import { dirname } from "node:path";
import { Etcd } from "../../support/etcd.ts";
import type { Bench } from "../bench.ts";
import { DaemonUnderTest } from "../daemon_under_test.ts";
import { buildSimulated } from "../simulated/build.ts";
import { joinCluster, untilMember } from "./join_cluster.ts";

/** A host that is a member of a cluster, and has its lock files in its memory. */
export interface SimulatedMember {
  /** Three members, whose files are on the disk. */
  readonly etcd: Etcd;
  readonly daemon: DaemonUnderTest;
  /** What starts the daemon's links. */
  readonly links: readonly ChildProcess[];
}

/** Starts one with an etcd of its own, and ends both behind what is done with them. */
export async function withSimulatedMember<T>(
  bench: Bench,
  run: (member: SimulatedMember) => Promise<T>,
): Promise<T> {
  await using etcd = await Etcd.start(3, "disk");
  await etcd.openCluster("default", ["bench"]);
  const links: ChildProcess[] = [];
  const program = buildSimulated(bench.ours.program);
  let daemon: DaemonUnderTest | undefined;
  try {
    daemon = await DaemonUnderTest.start(bench.sys, { ...bench.ours, program }, (place) => {
      links.push(joinCluster(place, etcd.urls));
      return {};
    });
    await untilMember(daemon.target);
    return await run({ etcd, daemon, links });
  } finally {
    await daemon?.stop();
    for (const link of links) link.kill("SIGKILL");
    rmSync(dirname(program), { recursive: true });
  }
}
