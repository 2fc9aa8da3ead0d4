import { Glob } from "../../chassis/log/glob.ts";
import type { HolderEntry, LockEntry } from "../status/status_document.ts";
import { parseUuid } from "../../chassis/wire/uuid.ts";
import { StatusProcedure } from "../wire/status_protocol.ts";
import type { AdminConnection } from "./admin_connection.ts";
import type { Arguments } from "../../chassis/cli/arguments.ts";
import { CONNECT_OPTION, JSON_OPTION, jsonText } from "../../chassis/cli/asking.ts";
import { connect } from "./ask.ts";
import { type Command, CommandExit } from "../../chassis/cli/command.ts";
import { diskNaming } from "./disk_naming.ts";
import { diskLockName } from "./guests/disk_name.ts";
import { type ListedLock, processText, stateText } from "./listed_lock.ts";
import { changeText, LockChanges } from "./lock_changes.ts";
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
    { name: "watch", summary: "show what is taken (+), released (-) and changed (~), until interrupted" },
    { name: "domain", value: "NAME|UUID", summary: "only the locks of this guest" },
    { name: "path", value: "GLOB", summary: "only locks whose path, name or disk matches this pattern" },
  ],
  run(context, args) {
    const chosen = lockFilter(args);
    using daemon = connect(context, args);
    const named = diskNaming(context);
    const list = () => named(listLocks(daemon)).filter(chosen);
    if (args.has("watch")) {
      const changes = new LockChanges();
      const text = args.has("json") ? (change: unknown) => `${JSON.stringify(change)}\n` : changeText;
      return watch(context, (at) => changes.since(list(), at).map(text).join(""));
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

/** A table with a row for each holder of each lock; with the disks, where names do not say which they are. */
export function locksText(locks: readonly ListedLock[]): string {
  if (locks.length === 0) return "No locks.\n";
  if (locks.every(({ disk }) => disk === undefined)) return table(HEADER, locks.flatMap(rows));
  const withDisk = locks.flatMap((lock) => rows(lock).map((row) => [...row, lock.disk ?? "-"]));
  return table([...HEADER, "DISK"], withDisk);
}

/** Whether a lock was asked for. */
export function lockFilter(args: Arguments): (lock: ListedLock) => boolean {
  const domain = args.value("domain");
  const uuid = domain === undefined ? undefined : parseUuid(domain)?.join();
  const isDomain = (holder: HolderEntry) =>
    holder.domain === domain || (uuid !== undefined && parseUuid(holder.uuid)?.join() === uuid);
  const pattern = args.value("path");
  if (pattern === undefined) return (lock) => domain === undefined || lock.holders.some(isDomain);
  const glob = new Glob(pattern);
  // A path without wildcards is found by its hash, too, though nothing else tells of the disk.
  const name = diskLockName(pattern);
  return ({ path, resource, disk, holders }) =>
    (domain === undefined || holders.some(isDomain)) &&
    ([path, resource, disk ?? ""].some((text) => glob.matches(text)) || resource === name);
}

function rows(lock: ListedLock): string[][] {
  const { lockspace, resource, mode, holders, moreHolders = 0 } = lock;
  const start = [lockspace === "" ? "-" : lockspace, resource, mode];
  const state = stateText(lock);
  const listed = holders.map((holder) => {
    const { domain, uuid, pid, since } = holder;
    const process = processText(holder);
    return [
      ...start,
      domain === "" ? "-" : domain,
      uuid,
      String(pid),
      timeText(since),
      process === undefined ? state : `${state} (${process})`,
    ];
  });
  if (moreHolders === 0) return listed;
  return [...listed, [...start, `(${moreHolders} more)`, "-", "-", "-", state]];
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
