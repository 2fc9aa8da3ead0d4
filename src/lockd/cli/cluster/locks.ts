import { JSON_OPTION, jsonText } from "../../../chassis/cli/asking.ts";
import { type Command, CommandExit } from "../../../chassis/cli/command.ts";
import { table, timeText } from "../../../chassis/cli/table.ts";
import { CLUSTER_OPTIONS } from "./cluster_settings.ts";
import { hostEntry, knownSessions } from "./known_hosts.ts";
import { type ClusterLockEntry, knownLocks, lockEntry } from "./known_locks.ts";
import { withCluster } from "./opened_cluster.ts";

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
    const locks = withCluster(context, args, ({ questions, keys }) => {
      const sessions = knownSessions(questions, keys).map(hostEntry);
      const wanted = new Set(
        sessions.filter((each) => [each.name, each.host, each.session].some((text) => text === host))
          .map(({ session }) => session),
      );
      return knownLocks(questions, keys, sessions).filter(({ session }) =>
        host === undefined || wanted.has(session)
      ).map(lockEntry);
    });
    context.out.write(args.has("json") ? jsonText(locks) : clusterLocksText(locks));
    return CommandExit.OK;
  },
};

/** A table with a row for each lock, and for each host that shares one. */
export function clusterLocksText(locks: readonly ClusterLockEntry[]): string {
  if (locks.length === 0) return "No locks.\n";
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
