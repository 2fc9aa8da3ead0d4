import { fieldsOf } from "../../base/fields.ts";
import { idOf, ordinalOf } from "../../chassis/rpc/client_key.ts";
import type { UngrantedTry } from "../cluster/locks/ungranted_tries.ts";
import type { Recovered, RecoveredClient } from "../journal/recovered.ts";
import type { HandedLock } from "../lockspace/lock_record.ts";
import type {
  ClientState,
  DaemonExtension,
  LockspaceState,
  RestartState,
  RuntimeSettings,
  ServerState,
} from "./state.ts";

/** What is kept from life to life beside locks and clients. */
export interface Carried {
  /** By ordinal of the server; empty after an ordinary end, when the configuration decides anew. */
  readonly limits: readonly { readonly maxClients: number; readonly maxAnonymousClients: number }[];
  readonly settings: RuntimeSettings;
  readonly statistics: DaemonExtension["statistics"];
  /** Absent where it is not certain that all is known that was granted. */
  readonly lineage?: string;
  /** Absent where there is none, or no lineage. */
  readonly tries?: readonly UngrantedTry[];
}

/** Nothing but what the configuration says. */
export const NOTHING_CARRIED: Carried = { limits: [], settings: {}, statistics: null };

/**
 * What a journal's record of it says. The record may be another version's: what is not as this one writes it
 * is left out, and the configuration decides.
 */
export function readCarried(value: unknown): Carried {
  const { limits, settings, statistics, lineage, tries } = fieldsOf(value);
  return {
    limits: Array.isArray(limits) && limits.every(isLimits) ? limits.map(justLimits) : [],
    settings: readSettings(settings),
    statistics: statistics ?? null,
    ...(typeof lineage === "string" ? { lineage, ...readTries(tries) } : {}),
  };
}

/** The same for a daemon that may not know all that was granted. */
export function withoutLineage({ lineage: _, tries: __, ...carried }: Carried): Carried {
  return carried;
}

/** What is not as this version writes it is no proof of anything. */
function readTries(value: unknown): Pick<Carried, "tries"> {
  return Array.isArray(value) && value.length > 0 && value.every(isTry) ? { tries: value } : {};
}

function isTry(value: unknown): value is UngrantedTry {
  const { value: record, changed } = fieldsOf(value);
  return typeof record === "string" && Array.isArray(changed) && changed.every(isChangedMark);
}

function isChangedMark(value: unknown): boolean {
  const { key, before, after } = fieldsOf(value);
  return [key, before, after].every((each) => typeof each === "string");
}

type Limits = Carried["limits"][number];

function isLimits(value: unknown): value is Limits {
  const { maxClients, maxAnonymousClients } = fieldsOf(value);
  return Number.isSafeInteger(maxClients) && Number.isSafeInteger(maxAnonymousClients);
}

function justLimits({ maxClients, maxAnonymousClients }: Limits): Limits {
  return { maxClients, maxAnonymousClients };
}

function readSettings(value: unknown): RuntimeSettings {
  const { logOutputs, logFilters, timeout } = fieldsOf(value);
  return {
    ...(typeof logOutputs === "string" ? { logOutputs } : {}),
    ...(typeof logFilters === "string" ? { logFilters } : {}),
    ...(typeof timeout === "number" ? { timeout } : {}),
  };
}

/**
 * What the journal and the store brought back, in the form in which one image hands its state to the next.
 *
 * @param facts of this process; `limits` of clients by ordinal of the server are for where none were carried
 */
export function recoveredState(
  recovered: Recovered,
  carried: Carried,
  facts: { pid: number; cwd: string; limits: Carried["limits"] },
): RestartState {
  return {
    pid: facts.pid,
    servers: {
      virtlockd: serverState(recovered, carried, facts.limits, 0),
      admin: serverState(recovered, carried, facts.limits, 1),
    },
    lockspaces: lockspaces(recovered),
    nextResourceId: recovered.nextResource,
    extension: {
      dying: recovered.dying,
      watched: recovered.watched,
      released: recovered.parked.map((parked) => ({ use: undefined, ...parked })),
      parked: [],
      kept: [],
      settings: carried.settings,
      cwd: facts.cwd,
      statistics: carried.statistics,
      ...(carried.lineage === undefined ? {} : { lineage: carried.lineage }),
      ...(carried.tries === undefined ? {} : { tries: carried.tries }),
      journal: null,
      notify: null,
    },
  };
}

function serverState(
  { clients, nextClient }: Recovered,
  carried: Carried,
  defaults: Carried["limits"],
  ordinal: number,
): ServerState {
  const limits = carried.limits[ordinal] ?? defaults[ordinal];
  if (limits === undefined) throw new Error(`Recover server ${ordinal}: it has no limits`);
  return {
    ...limits,
    nextClientId: nextClient[ordinal] ?? 1,
    listeners: [],
    clients: clients.filter(({ record }) => ordinalOf(record.key) === ordinal)
      .sort((a, b) => a.record.key - b.record.key).map(clientState),
  };
}

function clientState({ record, fd, pidfd, input, output }: RecoveredClient): ClientState {
  const { key, pid, uid, gid, since, owner, restricted } = record;
  return {
    id: idOf(key),
    fd,
    connectedAt: since,
    restricted,
    ...(owner === undefined ? {} : { owner }),
    extension: { unserved: input, unsent: output, peer: { pid, uid, gid }, pidfd, trailLost: true },
  };
}

function lockspaces({ lockspaces, locks }: Recovered): LockspaceState[] {
  const byPath = new Map<string, HandedLock[]>(["", ...lockspaces].map((path) => [path, []]));
  for (const lock of locks) {
    const resources = byPath.get(lock.record.lockspace);
    if (resources === undefined) byPath.set(lock.record.lockspace, [lock]);
    else resources.push(lock);
  }
  return [...byPath].map(([path, resources]) => ({ path, resources }));
}
