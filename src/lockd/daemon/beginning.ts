import { VERSION } from "../../chassis/config/build_config.ts";
import { counted, someOf } from "../../chassis/log/counted.ts";
import type { Holding } from "../lockspace/owner.ts";
import type { LockTable } from "../lockspace/lock_table.ts";
import type { Log } from "../../chassis/log/log.ts";
import type { Daemon } from "./daemon.ts";
import type { GivenUpLocks } from "./given_up.ts";

/** What was there before this image of the daemon. */
export type Past =
  /** Nothing that could be taken over. */
  | { readonly kind: "none" }
  /** An earlier image of this program in the same process: a reload or an upgrade. */
  | { readonly kind: "image" }
  /** A daemon that was stopped and has given its locks up. */
  | { readonly kind: "stopped"; readonly given: GivenUpLocks }
  /** libvirt's own daemon, in the same process. */
  | { readonly kind: "libvirt" }
  /** A daemon that ended without being asked to. */
  | { readonly kind: "crash" }
  /** A daemon that was asked to end and left its state. */
  | { readonly kind: "restart" };

/** Most guests that a line names. */
const NAMED_GUESTS = 10;

/**
 * Counts a beginning, and says in one line what it has brought over: at the default level, for it may be a
 * guest's life.
 */
export function announceBeginning(
  daemon: Pick<Daemon, "metrics" | "log" | "clientCount"> & { readonly table: Pick<LockTable, "resources"> },
  past: Past,
): void {
  const { metrics, table, log } = daemon;
  if (past.kind === "stopped") return announceAfterStop(log, past.given);
  const all = [...table.resources()];
  const lost = all.filter(({ state }) => state.kind === "lost");
  const resources = all.filter(({ state }) => state.kind !== "lost");
  metrics.begun(past.kind, resources.length, lost.length);
  if (past.kind === "none") {
    log.info(`virtlockd ${VERSION} begins with no client and no lock: no earlier daemon has left any`);
    return;
  }
  const brought = `${counted(daemon.clientCount, "client")} and ${counted(resources.length, "lock")}`;
  const doubtful = resources.filter(({ state }) => state.kind === "doubtful").length;
  const awaited = resources.filter(({ state }) => state.kind === "awaited").length;
  const parts = [
    `Took over ${brought}${ofGuests(resources)}`,
    ...doubtful === 0 ? [] : [`${doubtful} in doubt: see 'virtlockd locks'`],
    ...awaited === 0
      ? []
      : [`${awaited} not taken again yet, their storage is being asked: see 'virtlockd locks'`],
    ...lost.length === 0 ? [] : [
      `LOST ${counted(lost.length, "lock")}${ofGuests(lost)}; nothing protects ${
        lost.length === 1 ? "its disk" : "their disks"
      } now`,
    ],
  ];
  const line = `virtlockd ${VERSION} ${occasion(past, metrics.previousVersion)}. ${parts.join("; ")}`;
  if (past.kind === "crash" || lost.length > 0) log.warn(line);
  else log.notice(line);
}

function announceAfterStop(
  log: Pick<Log, "notice" | "warn">,
  { at, locks, kept, running }: GivenUpLocks,
): void {
  const when = new Date(at).toISOString().slice(0, 19);
  const stopped = `virtlockd ${VERSION} begins. The last daemon was stopped at ${when}Z`;
  const cluster = `etcd has kept ${counted(kept, "lock")} for this host`;
  if (locks === 0) return log.notice(`${stopped}; ${cluster}`);
  const begins = `${stopped} and gave up ${counted(locks, "lock")}`;
  const rest = kept === 0 ? "" : `; ${cluster}`;
  if (running.length === 0) return log.notice(`${begins}, whose guests have ended since${rest}`);
  const names = someOf(running.map(({ name, pid }) => name === "" ? `process ${pid}` : name), NAMED_GUESTS);
  log.warn(`${begins}${rest}. These guests still run without their locks, start them anew: ${names}`);
}

/** ` of the guests 'a', 'b'`, in the order of their locks; nothing without any. */
export function ofGuests(locks: Iterable<{ readonly holdings: readonly Holding[] }>): string {
  const names = guestNames(locks);
  return names.length === 0
    ? ""
    : ` of the ${names.length === 1 ? "guest" : "guests"} ${someOf(names, NAMED_GUESTS)}`;
}

/**
 * Guests that own locks, each once; one that came over from libvirt's daemon without a name is known by its
 * process.
 */
function guestNames(locks: Iterable<{ readonly holdings: readonly Holding[] }>): string[] {
  const names = new Set<string>();
  for (const { holdings } of locks) {
    for (const { owner } of holdings) names.add(owner.name === "" ? `process ${owner.pid}` : owner.name);
  }
  return [...names];
}

function occasion(past: Past, previous: string | undefined): string {
  switch (past.kind) {
    case "none":
    case "stopped":
      return "begins";
    case "image":
      return previous === undefined || previous === VERSION
        ? "goes on after a reload"
        : `goes on after an upgrade from ${previous}`;
    case "libvirt":
      return "goes on in the place of libvirt's own daemon";
    case "crash":
      return "was started again because the last daemon was killed or crashed";
    case "restart":
      return "was started again after the last daemon that served had been stopped";
  }
}
