import { JSON_OPTION, jsonText } from "../../../chassis/cli/asking.ts";
import { type Command, CommandError, CommandExit } from "../../../chassis/cli/command.ts";
import { table, timeText } from "../../../chassis/cli/table.ts";
import { CLUSTER_OPTIONS } from "./cluster_settings.ts";
import { type HostEntry, hostEntry, knownSessions, sessionsOf } from "./known_hosts.ts";
import { type ClusterLockEntry, knownLocks, lockEntry } from "./known_locks.ts";
import { nobodyIn, withCluster } from "./opened_cluster.ts";
import { UnreadableKeys } from "./unreadable_keys.ts";

const HEADER = ["SPACE", "NAME", "MODE", "DOMAIN", "UUID", "PID", "HOST", "SINCE", "STATE"];

/** `virtlockd cluster locks`: who holds what, on all hosts. */
export const clusterLocksCommand: Command = {
  name: "cluster locks",
  purpose: "Lists the locks of all hosts of the cluster: who holds what, since when, and how the host is.",
  options: [
    ...CLUSTER_OPTIONS,
    JSON_OPTION,
    { name: "host", value: "HOST", summary: "only the locks of the host with this name or id, or session" },
  ],
  run(context, args) {
    const host = args.value("host");
    const unreadable = new UnreadableKeys();
    const { locks, none } = withCluster(context, args, (cluster) => {
      const { questions, keys } = cluster;
      const sessions = knownSessions(questions, keys, unreadable.read).map(hostEntry);
      const all = knownLocks(questions, keys, sessions, unreadable.read).map(lockEntry);
      const locks = host === undefined ? all : locksOf(all, sessions, host, () => unreadable.tell());
      return { locks, none: locks.length === 0 ? nobodyIn(cluster) : "" };
    });
    context.out.write(args.has("json") ? jsonText(locks) : clusterLocksText(locks, none));
    unreadable.tell();
    return CommandExit.OK;
  },
};

/**
 * The locks of one host.
 *
 * @param meant its name, its id or one of its sessions, also one that is not there any more
 * @param unknown called when there is none: it may be among what could not be read
 * @throws CommandError when there is none: of a name that is mistyped nobody may read that it has no locks
 */
export function locksOf(
  locks: readonly ClusterLockEntry[],
  sessions: readonly HostEntry[],
  meant: string,
  unknown: () => void = () => {},
): readonly ClusterLockEntry[] {
  const wanted = new Set(sessionsOf(sessions, meant).map(({ session }) => session));
  const found = locks.filter(({ session }) => session === meant || wanted.has(session));
  if (found.length > 0 || wanted.size > 0) return found;
  unknown();
  throw new CommandError(
    CommandExit.PROBLEM,
    `There is no host '${meant}' in the cluster; virtlockd cluster hosts lists them`,
  );
}

/**
 * A table with a row for each lock, and for each host that shares one.
 *
 * @param none what is said besides where there is none
 */
export function clusterLocksText(locks: readonly ClusterLockEntry[], none = ""): string {
  if (locks.length === 0) return `No locks${none}.\n`;
  return table(
    HEADER,
    locks.map(({ space, name, mode, domain, uuid, pid, host, sinceMs, state }) => [
      space,
      name,
      mode,
      domain === "" ? "-" : domain,
      uuid,
      String(pid),
      host === "" ? "-" : host,
      timeText(sinceMs),
      state,
    ]),
  );
}
