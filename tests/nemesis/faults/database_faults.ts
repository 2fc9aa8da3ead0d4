import { decodeMeta, encodeMeta, type MetaRecord } from "../../../src/lockd/cluster/keys/meta_record.ts";
import type { ClusterStatus } from "../../../src/lockd/cluster/cluster_status.ts";
import type { Etcd } from "../../support/etcd.ts";
import { until } from "../../support/until.ts";
import { type Fault, MEMBERS, PATIENCE_MS, patiently, type Scene } from "./fault.ts";

// What happens to what etcd keeps.

const META = "/virtlockd/test/meta";
/** What is answered later than that was asked later, in ms. */
const ASKED_MS = 4000;
/** More than hosts may have on their way: none must make up for what was lost before it notices. */
const CHANGES = 60;
/** A closed cluster waits for the last writes of guests that have ended, which takes a while. */
const OPEN_MS = 180_000;

/** etcd's quota is used up: it takes no lock, but gives back. */
export function fullDatabase({ etcd }: Scene): Fault {
  return {
    kind: "database full",
    name: "the database is full",
    targets: MEMBERS,
    begin: () => patiently("to fill the database", () => etcd.fill()),
    end: () => patiently("to make room in the database", () => etcd.makeRoom()),
  };
}

/**
 * A backup is made, and later all members go back to it. Every host has seen something that is lost then: for
 * what nobody has seen see docs/cluster.md. Then somebody names the hosts, as `virtlockd cluster recover`
 * does.
 */
export function restoredDatabase({ etcd, hosts }: Scene): Fault {
  let backup = "";
  return {
    kind: "database restored",
    name: "the database is restored from a backup",
    targets: [...MEMBERS, ...hosts.flatMap(({ name }) => [name, `${name}'s link`])],
    begin: () =>
      patiently("to make a backup", async () => {
        backup = await etcd.save();
      }),
    end: async () => {
      for (let change = 0; change < CHANGES; change++) {
        await patiently("to change something", () => etcd.control("put", "/change", String(change)));
      }
      const changed = performance.now();
      await until(
        "every host to hear of it",
        async () =>
          (await Promise.all(hosts.map((each) => each.status()))).every((status) =>
            hasHeard(status, changed)
          ),
        PATIENCE_MS,
      );
      await etcd.restore(backup);
      await until("a host to notice", async () => await phaseOf(etcd) === "recovering", PATIENCE_MS);
      const expect = hosts.map(({ name }) => name);
      await until("the cluster to be open", () => isOpen(etcd, expect), OPEN_MS);
    },
  };
}

/** What all hosts agree upon, and when it was changed. */
async function metaOf(etcd: Etcd): Promise<{ readonly meta: MetaRecord; readonly changedAt: number }> {
  const { kvs: [found] = [] }: { kvs?: { value: string; mod_revision: number }[] } = JSON.parse(
    await etcd.control("get", META, "-w", "json"),
  );
  const changedAt = found?.mod_revision ?? 0;
  return { meta: decodeMeta({ key: META, value: atob(found?.value ?? ""), changedAt }), changedAt };
}

async function phaseOf(etcd: Etcd): Promise<string> {
  try {
    return (await metaOf(etcd)).meta.phase;
  } catch (error) {
    // It cannot be reached, or is changed right now.
    if (error instanceof Error) return error.message;
    throw error;
  }
}

/** Names the hosts, also once more when one of them that was cut off has closed the cluster again. */
async function isOpen(etcd: Etcd, expect: readonly string[]): Promise<boolean> {
  try {
    const { meta, changedAt } = await metaOf(etcd);
    if (meta.phase === "recovering" && meta.expect.length === 0) {
      const value = JSON.stringify(encodeMeta({ ...meta, expect }));
      await etcd.transact(`mod("${META}") = "${changedAt}"\n\nput ${META} ${value}\n\n\n`);
    }
    return meta.phase === "open";
  } catch (error) {
    if (error instanceof Error) return false;
    throw error;
  }
}

/** @param since by performance.now() */
function hasHeard(status: ClusterStatus | undefined, since: number): boolean {
  return status?.state === "live" && performance.now() - (status.silentMs ?? 0) > since + ASKED_MS;
}
