import { isClustersDoubt } from "../cluster/session/doubts.ts";
import type { LockReach } from "../cluster/cluster_parts.ts";
import type { Judgement } from "../lockspace/holder_reaper.ts";
import { procLockText } from "../lockspace/file_identity.ts";
import { type Owner, type OwnerKey, ownerKey } from "../lockspace/owner.ts";
import { reasonOf } from "../lockspace/lock_record.ts";
import type { Resource } from "../lockspace/resource.ts";
import type { HolderEntry, LockEntry, ShownState } from "./status_document.ts";

/** Characters of holders' names in one entry; a shared lock may have thousands of holders. */
const HOLDERS_CHARACTERS = 256 * 1024;

/** What an entry says of the process of an owner. */
const PROCESS = {
  alive: {},
  dead: { process: "ended" },
  unjudged: { process: "unjudged" },
  stopped: { process: "stopped" },
} as const;

/** What else is known of locks and their owners. */
export interface LockFacts {
  /** Whether an owner's process is being killed. */
  readonly dying: (key: OwnerKey) => boolean;
  /** Whether an owner's process lives. */
  readonly judge: (owner: Owner) => Judgement;
  /** Whether a signal has stopped a process. */
  readonly stopped: (pid: number) => boolean;
  /** Why a lock stays although an owner's process is gone; undefined where none is. */
  readonly settling: (resource: Resource) => string | undefined;
  /** For which hosts the lock of a file counts; undefined on a host that is in no cluster. */
  readonly reachOf: (path: string) => LockReach | undefined;
}

/** A lock as LIST_LOCKS shows it. */
export function lockEntry(resource: Resource, facts: LockFacts): LockEntry {
  const { id, lockspace, name, path, handle, shared, autocreate, state } = resource;
  const reason = reasonOf(state) ?? facts.settling(resource);
  const hosts = facts.reachOf(path);
  // Nowhere else the daemon stops a guest.
  const ofCluster = hosts === "cluster" || hosts === "pending" || isClustersDoubt(state);
  const { listed, more } = holders(resource, facts, ofCluster);
  return {
    id,
    lockspace,
    resource: name,
    path,
    ...handle.kind === "file" ? { file: procLockText(handle.identity) } : {},
    mode: shared ? "shared" : "exclusive",
    autocreate,
    state: lockState(resource, facts),
    ...reason === undefined ? {} : { reason },
    ...hosts === undefined ? {} : { hosts },
    kind: handle.kind === "file" ? handle.lock : "ofd",
    holders: listed,
    ...more > 0 ? { moreHolders: more } : {},
  };
}

/** What is most worth knowing of a lock's state. */
function lockState(
  resource: Resource,
  { dying, settling }: Pick<LockFacts, "dying" | "settling">,
): ShownState {
  if (resource.state.kind !== "held") return resource.state.kind;
  if (resource.regrant === "parked") return "parked";
  if (settling(resource) !== undefined) return "settling";
  return resource.holdings.some(({ owner }) => dying(ownerKey(owner))) ? "holder being killed" : "held";
}

/** The holders, each once, as many as have room. */
function holders(
  resource: Resource,
  { judge, stopped }: Pick<LockFacts, "judge" | "stopped">,
  ofCluster: boolean,
): { listed: HolderEntry[]; more: number } {
  // A guest that has ended, and another one whose process got the same pid, are two.
  const byKey = new Map<string, { owner: Owner; since: number; times: number }>();
  for (const { owner, since } of resource.holdings) {
    const name = `${ownerKey(owner)} ${owner.uuid}`;
    const known = byKey.get(name);
    if (known === undefined) byKey.set(name, { owner, since, times: 1 });
    else known.times++;
  }
  const listed: HolderEntry[] = [];
  let characters = 0;
  for (const { owner, since, times } of byKey.values()) {
    if (characters > HOLDERS_CHARACTERS) break;
    const { name, uuid, id, pid } = owner;
    const judged = judge(owner);
    const isStopped = judged.kind === "alive" && ofCluster && stopped(judged.pid);
    const process = PROCESS[isStopped ? "stopped" : judged.kind];
    listed.push({ domain: name, uuid, id, pid, sinceMs: since, since, times, ...process });
    characters += name.length + 100;
  }
  return { listed, more: byKey.size - listed.length };
}
