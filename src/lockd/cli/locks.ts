import { Glob } from "../../chassis/log/glob.ts";
import type { HolderEntry, LockEntry } from "../status/status_document.ts";
import { parseUuid } from "../../chassis/wire/uuid.ts";
import { StatusProcedure } from "../wire/status_protocol.ts";
import type { AdminConnection } from "./admin_connection.ts";
import type { Arguments } from "../../chassis/cli/arguments.ts";
import { connect, CONNECT_OPTION, JSON_OPTION, jsonText } from "./ask.ts";
import { type Command, CommandExit } from "../../chassis/cli/command.ts";
import { table, timeText } from "../../chassis/cli/table.ts";
import { watch } from "../../chassis/cli/watch.ts";

const HEADER = ["LOCKSPACE", "RESOURCE", "MODE", "DOMAIN", "UUID", "PID", "SINCE", "STATE"];

/** `virtlockd locks`: who holds what. */
export const locksCommand: Command = {
  name: "locks",
  purpose: "Lists the locks: lockspace, resource, who holds it, since when, and how it is.",
  options: [
    CONNECT_OPTION,
    JSON_OPTION,
    { name: "watch", summary: "show changes as they happen, until interrupted" },
    { name: "domain", value: "NAME|UUID", summary: "only the locks of this guest" },
    { name: "path", value: "GLOB", summary: "only resources whose path or name matches this pattern" },
  ],
  run(context, args) {
    const chosen = lockFilter(args);
    using daemon = connect(context, args);
    const list = () => listLocks(daemon).filter(chosen);
    if (args.has("watch")) {
      return args.has("json")
        ? watch(context, () => "", () => `${JSON.stringify(list())}\n`)
        : watch(context, (at) => `${timeText(at)}\n`, () => locksText(list()));
    }
    const locks = list();
    context.out.write(args.has("json") ? jsonText(locks) : locksText(locks));
    return CommandExit.OK;
  },
};

/** All locks, by lockspace and resource. */
export function listLocks(daemon: AdminConnection): LockEntry[] {
  return daemon.list<LockEntry>(StatusProcedure.LIST_LOCKS).sort((a, b) =>
    compare(a.lockspace, b.lockspace) || compare(a.resource, b.resource) || a.id - b.id
  );
}

/** A table with a row for each holder of each lock. */
export function locksText(locks: readonly LockEntry[]): string {
  if (locks.length === 0) return "No locks.\n";
  return table(HEADER, locks.flatMap(rows));
}

/** Whether a lock was asked for. */
export function lockFilter(args: Arguments): (lock: LockEntry) => boolean {
  const domain = args.value("domain");
  const uuid = domain === undefined ? undefined : parseUuid(domain)?.join();
  const isDomain = (holder: HolderEntry) =>
    holder.domain === domain || (uuid !== undefined && parseUuid(holder.uuid)?.join() === uuid);
  const pattern = args.value("path");
  const glob = pattern === undefined ? undefined : new Glob(pattern);
  return (lock) =>
    (domain === undefined || lock.holders.some(isDomain)) &&
    (glob === undefined || glob.matches(lock.path) || glob.matches(lock.resource));
}

function rows(lock: LockEntry): string[][] {
  const { lockspace, resource, mode, holders, moreHolders = 0 } = lock;
  const start = [lockspace === "" ? "-" : lockspace, resource, mode];
  const state = stateText(lock);
  const listed = holders.map(({ domain, uuid, pid, since }) => [
    ...start,
    domain === "" ? "-" : domain,
    uuid,
    String(pid),
    timeText(since),
    state,
  ]);
  if (moreHolders === 0) return listed;
  return [...listed, [...start, `(${moreHolders} more)`, "-", "-", "-", state]];
}

function stateText({ state, reason, kind }: LockEntry): string {
  const text = reason === undefined ? state : `${state}: ${reason}`;
  return kind === "posix" ? `${text} (inherited from libvirt's daemon, will not survive a crash)` : text;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
