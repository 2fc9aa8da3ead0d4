import { compareTexts } from "../../base/lists.ts";
import { Glob } from "../../chassis/log/glob.ts";
import { isShownAs } from "../../chassis/log/plain_text.ts";
import type { Sys } from "../../os/sys.ts";
import { LOCK } from "../status/document_shapes.ts";
import type { HolderEntry, LockEntry } from "../status/status_document.ts";
import { parseUuid } from "../../chassis/wire/uuid.ts";
import { StatusProcedure } from "../wire/status_protocol.ts";
import type { AdminConnection } from "./admin_connection.ts";
import type { Arguments } from "../../chassis/cli/arguments.ts";
import { CONNECT_OPTION, JSON_OPTION, jsonText } from "../../chassis/cli/asking.ts";
import { connect } from "./ask.ts";
import { type Command, CommandExit } from "../../chassis/cli/command.ts";
import { diskNaming } from "./disk_naming.ts";
import { type ListedLock, processText, stateText } from "./shown/listed_lock.ts";
import { changeText, LockChanges } from "./lock_changes.ts";
import { namedDisk } from "./named_disk.ts";
import { table, timeText } from "../../chassis/cli/table.ts";
import { watch } from "../../chassis/cli/watch.ts";

const HEADER = ["LOCKSPACE", "RESOURCE", "MODE", "DOMAIN", "UUID", "PID", "SINCE"];

/** `virtlockd locks`: who holds what. */
export const locksCommand: Command = {
  name: "locks",
  purpose: "Lists the locks: lockspace, resource, who holds it, since when, and how it is.",
  options: [
    CONNECT_OPTION,
    JSON_OPTION,
    { name: "watch", summary: "show what is taken (+), released (-) and changed (~), until interrupted" },
    { name: "domain", value: "NAME|UUID", summary: "only the locks of this guest" },
    { name: "path", value: "GLOB", summary: "only locks on this file, or whose path, name or disk matches" },
  ],
  async run(context, args) {
    const chosen = await lockFilter(context.sys, args);
    using daemon = connect(context, args);
    const named = diskNaming(context);
    const all = () => named(listLocks(daemon));
    if (args.has("watch")) {
      const changes = new LockChanges();
      const text = args.has("json") ? (change: unknown) => `${JSON.stringify(change)}\n` : changeText;
      return watch(context, (at) => changes.since(all().filter(chosen), at).map(text).join(""));
    }
    const locks = all();
    const shown = locks.filter(chosen);
    context.out.write(args.has("json") ? jsonText(shown) : locksText(shown, locks.length));
    return CommandExit.OK;
  },
};

/** All locks, by lockspace and resource. */
export function listLocks(daemon: AdminConnection): LockEntry[] {
  return daemon.list(StatusProcedure.LIST_LOCKS, LOCK).sort((a, b) =>
    compareTexts(a.lockspace, b.lockspace) || compareTexts(a.resource, b.resource) || a.id - b.id
  );
}

/**
 * A table with a row for each holder of each lock; with the disks, where names do not say which they are, and
 * on a host of a cluster with the hosts for which a lock counts.
 *
 * @param held how many locks there are, with those that were not asked for
 */
export function locksText(locks: readonly ListedLock[], held = locks.length): string {
  if (held === 0) return "No locks.\n";
  if (locks.length === 0) {
    return `${held === 1 ? "The one lock is not" : `None of the ${held} locks is`} what was asked for.\n`;
  }
  const ofCluster = locks.some(({ hosts }) => hosts !== undefined);
  const withDisk = locks.some(({ disk }) => disk !== undefined);
  const header = [...HEADER, ...ofCluster ? ["HOSTS"] : [], "STATE", ...withDisk ? ["DISK"] : []];
  return table(
    header,
    locks.flatMap((lock) =>
      rows(lock).map(({ start, state }) => [
        ...start,
        ...ofCluster ? [lock.hosts ?? "-"] : [],
        state,
        ...withDisk ? [lock.disk ?? "-"] : [],
      ])
    ),
  );
}

/** Whether a lock was asked for. */
export async function lockFilter(sys: Sys, args: Arguments): Promise<(lock: ListedLock) => boolean> {
  const domain = args.value("domain");
  const uuid = domain === undefined ? undefined : parseUuid(domain)?.join();
  const isDomain = (holder: HolderEntry) =>
    (domain !== undefined && isShownAs(holder.domain, domain)) ||
    (uuid !== undefined && parseUuid(holder.uuid)?.join() === uuid);
  const ofDomain = ({ holders }: ListedLock) => domain === undefined || holders.some(isDomain);
  const pattern = args.value("path");
  if (pattern === undefined) return ofDomain;
  const glob = new Glob(pattern);
  // Whoever names one disk is told of its lock, whatever path it was locked by.
  const isNamed = await namedDisk(sys, pattern);
  return (lock) =>
    ofDomain(lock) &&
    ([lock.path, lock.resource, lock.disk ?? ""].some((text) =>
      glob.matches(text) || isShownAs(text, pattern)
    ) ||
      isNamed(lock));
}

/** What a row says before the state, and the state. */
interface Row {
  readonly start: readonly string[];
  readonly state: string;
}

function rows(lock: ListedLock): Row[] {
  const { lockspace, resource, mode, holders, moreHolders = 0 } = lock;
  const start = [lockspace === "" ? "-" : lockspace, resource, mode];
  const state = stateText(lock);
  const listed = holders.map((holder) => {
    const { domain, uuid, pid, since } = holder;
    const process = processText(holder);
    return {
      start: [...start, domain === "" ? "-" : domain, uuid, String(pid), timeText(since)],
      state: process === undefined ? state : `${state} (${process})`,
    };
  });
  if (moreHolders === 0) return listed;
  return [...listed, { start: [...start, `(${moreHolders} more)`, "-", "-", "-"], state }];
}
