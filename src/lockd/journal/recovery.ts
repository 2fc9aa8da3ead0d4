import { ESRCH } from "../../os/errno.ts";
import type { DyingHolder } from "../lockspace/holder_reaper.ts";
import type { LockRecord } from "../lockspace/lock_record.ts";
import { counted, someOf } from "../../chassis/log/counted.ts";
import { lockText } from "../lockspace/lock_text.ts";
import { isOwnersProcess, type OwnerKey, ownerKey } from "../lockspace/owner.ts";
import { ClientRecovery } from "./client_recovery.ts";
import type { InFlight } from "../../chassis/journal/in_flight.ts";
import type { JournaledDying, JournalState } from "./journal_state.ts";
import { LockRecovery } from "./lock_recovery.ts";
import { OwnerJudge } from "./owner_judge.ts";
import type { Finding, Recovered, RecoveredClient, RecoverySys, ReturnedDescriptor } from "./recovered.ts";
import { ReturnedSlots } from "./returned_slots.ts";

/** Most guests that a finding names. */
const NAMED_GUESTS = 10;

/** What there is to recover from. */
export interface RecoveryParts {
  readonly sys: RecoverySys;
  readonly state: JournalState;
  readonly inFlight: InFlight;
  /** What the store gave back; without a store, none. */
  readonly descriptors: readonly ReturnedDescriptor[];
  /** Whether records may be missing: then a lock without a record is kept. */
  readonly damaged: boolean;
  /** Whether a path leads to storage that may not answer. */
  readonly mayHang: (path: string) => boolean;
  /** Unix milliseconds. */
  readonly now: number;
}

/** Matches descriptors with what the journal says of them, in whatever order they came. */
export function recover(
  { sys, state, inFlight, descriptors, damaged, mayHang, now }: RecoveryParts,
): Recovered {
  const findings: Finding[] = [];
  const find = (level: Finding["level"], message: string) => void findings.push({ level, message });
  const slots = new ReturnedSlots(sys, descriptors);
  const judge = new OwnerJudge(sys);
  const locks = new LockRecovery({ sys, slots, judge, damaged, mayHang, find }, state.nextResource);
  const clients = new ClientRecovery({ sys, slots, inFlight, now }, state.nextClient);
  // First, because one of them may be in the way of a recorded one whose release was not finished.
  locks.unrecorded(state.locks.values());
  const dying = [...state.dying].flatMap(([pid, holder]) => dyingHolder(pid, holder, state, slots, judge));
  for (const lock of state.locks.values()) locks.recorded(lock);
  for (const client of state.clients.values()) clients.recorded(client);
  clients.unrecorded();
  reportDropped(locks.dropped, findings);
  reportUnjudged(locks.locks.map(({ record }) => record), clients.clients, judge, find);
  const parked = [...state.parked.values()].filter(({ owner }) => judge.judge(owner) === "alive");
  return {
    lockspaces: [...state.lockspaces],
    locks: locks.locks,
    clients: clients.clients,
    dying,
    parked,
    watched: judge.watched,
    gone: judge.gone,
    unwanted: slots.unwanted,
    slots: slots.used,
    nextResource: locks.nextId,
    nextClient: clients.nextIds,
    findings,
  };
}

/** A holder that was being ended, if its process still lives. */
function dyingHolder(
  pid: number,
  { key, since, killed, slot: index }: JournaledDying,
  state: JournalState,
  slots: ReturnedSlots,
  judge: OwnerJudge,
): DyingHolder[] {
  // See endedOperation(). By now another process may have its pid.
  if (killed && since === 0) {
    judge.isGone({ key, pid });
    return [];
  }
  const stored = slots.take("dying holder", index, () => true);
  if (stored !== undefined && index !== undefined) slots.keep({ kind: "dying holder", index }, pid);
  const pidfd = stored ?? judge.open(pid, startOf(key, state));
  if (pidfd === -ESRCH) judge.isGone({ key, pid });
  // Of one that cannot be told the locks are kept, and said to be.
  if (pidfd < 0) return [];
  judge.lives(key);
  return [{ key, pid, pidfd, since, killed }];
}

function startOf(key: OwnerKey, { locks }: JournalState): number {
  for (const { record: { holdings } } of locks.values()) {
    const found = holdings.find(({ owner }) => ownerKey(owner) === key && owner.start !== 0);
    if (found !== undefined) return found.owner.start;
  }
  return 0;
}

/** Said first: what follows says of each of them what has become of it. */
function reportDropped(dropped: readonly LockRecord[], findings: Finding[]): void {
  if (dropped.length === 0) return;
  const guests = new Set(
    dropped.flatMap(({ holdings }) => holdings.map(({ owner: { name, pid } }) => name || `process ${pid}`)),
  );
  const locks = `${counted(dropped.length, "lock")} of ${someOf([...guests], NAMED_GUESTS)}`;
  findings.unshift({
    level: "error",
    message:
      `systemd no longer had what the last daemon gave it to keep: ${locks}. Its store was emptied, as when the ` +
      "service is stopped after the daemon was killed, or FileDescriptorStoreMax= is lowered, or it was full. Nothing protected them " +
      "since the last daemon ended; what has become of each is said next, and 'virtlockd locks' shows them",
  });
}

/** What nobody can say of is kept: the administrator has to know of it. */
function reportUnjudged(
  locks: readonly LockRecord[],
  clients: readonly RecoveredClient[],
  judge: OwnerJudge,
  find: (level: Finding["level"], message: string) => void,
): void {
  const connected = clients.filter(({ pidfd }) => pidfd >= 0).map(({ record }) => record);
  for (const lock of locks) {
    const unjudged = lock.holdings.some(({ owner }) =>
      judge.known(ownerKey(owner)) === "unjudged" &&
      !connected.some((client) => client.owner !== undefined && isOwnersProcess(owner, client.pid))
    );
    if (!unjudged) continue;
    const why = "nothing tells whether its process still runs";
    find("warn", `${lockText(lock)} is kept: ${why}; virtlockd release frees it`);
  }
}
