import assert from "node:assert/strict";
import { Daemon } from "../support/daemon.ts";
import { Holder } from "../support/holder.ts";
import { untilGranted } from "../support/lock_refusal.ts";
import { Scratch } from "../support/scratch.ts";

/** The sources, one file for each module: what was called is told by module. */
const SOURCES = new URL("../support/virtlockd_main.ts", import.meta.url);
const CLUSTER = /\/src\/(lockd\/cluster\/.*|etcd\/.*)$/;

/** What the runtime notes of a module, as far as it is needed here. */
interface Profile {
  readonly url: string;
  readonly functions: readonly {
    readonly functionName: string;
    readonly ranges: readonly { count: number }[];
  }[];
}

/** Functions of the cluster's that a process has called, with their modules. */
function* calledIn(directory: string): Generator<string> {
  for (const { name } of Deno.readDirSync(directory)) {
    const profile: Profile = JSON.parse(Deno.readTextFileSync(`${directory}/${name}`));
    const [, module] = CLUSTER.exec(profile.url) ?? [];
    if (module === undefined) continue;
    for (const { functionName, ranges } of profile.functions) {
      // The module itself has no name, nor has a class's list of constants a caller.
      const isOfModule = functionName === "" || functionName === "<static_initializer>";
      if (!isOfModule && (ranges[0]?.count ?? 0) > 0) yield `${module} ${functionName}`;
    }
  }
}

Deno.test("a daemon without settings of a cluster's calls nothing of that but who tells so", async () => {
  using scratch = new Scratch();
  const coverage = scratch.file("coverage");
  await using daemon = await Daemon.start({ entry: SOURCES, env: { DENO_COVERAGE_DIR: coverage } });
  const disk = `${daemon.place.directory}/disk`;
  Deno.writeTextFileSync(disk, "");
  await using guest = await Holder.start(daemon);
  await guest.acquire("", disk);
  // Its lock goes with it, which is where the cluster's locks would be given back.
  await guest.kill();
  await using next = await Holder.start(daemon);
  await untilGranted(() => next.acquire("", disk));
  assert.equal(await daemon.stop(), 0);
  assert.deepEqual([...calledIn(coverage)].sort(), [
    "lockd/cluster/cluster.ts clusterOf",
    "lockd/cluster/cluster_log.ts clusterLog",
    "lockd/cluster/fencing/fencing_log.ts fencingLog",
    "lockd/cluster/reconcile/lost_guests_log.ts lostGuestsLog",
  ]);
});
