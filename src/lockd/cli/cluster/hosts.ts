import { JSON_OPTION, jsonText } from "../../../chassis/cli/asking.ts";
import { type Command, CommandExit } from "../../../chassis/cli/command.ts";
import { table, timeText } from "../../../chassis/cli/table.ts";
import { CLUSTER_OPTIONS } from "./cluster_settings.ts";
import { type HostEntry, hostEntry, knownSessions } from "./known_hosts.ts";
import { withCluster } from "./opened_cluster.ts";
import { UnreadableKeys } from "./unreadable_keys.ts";

const HEADER = ["HOST", "ID", "SESSION", "BOOT", "STATE"];

/** `virtlockd cluster hosts`: who is a member. */
export const clusterHostsCommand: Command = {
  name: "cluster hosts",
  purpose: "Lists the hosts of the cluster: id, session, boot, and whether they are heard of.",
  options: [...CLUSTER_OPTIONS, JSON_OPTION],
  run(context, args) {
    const unreadable = new UnreadableKeys();
    const hosts = withCluster(
      context,
      args,
      ({ questions, keys }) => knownSessions(questions, keys, unreadable.read).map(hostEntry),
    );
    context.out.write(args.has("json") ? jsonText(hosts) : hostsText(hosts));
    unreadable.tell();
    return CommandExit.OK;
  },
};

/** A table with a row for each session. */
export function hostsText(hosts: readonly HostEntry[]): string {
  if (hosts.length === 0) return "No hosts.\n";
  return table(HEADER, hosts.map((host) => [host.name, host.host, host.session, host.boot, stateText(host)]));
}

function stateText({ state, fencing, silentSinceMs, quiet }: HostEntry): string {
  if (fencing !== undefined) {
    const { by, from, atMs, command } = fencing;
    return `${state} by ${by} on ${from}, ${timeText(atMs)}${
      command === undefined ? "" : `, with ${command}`
    }`;
  }
  const since = silentSinceMs === undefined ? state : `${state} since ${timeText(silentSinceMs)} or earlier`;
  return quiet === true ? `${since}, its daemon was stopped` : since;
}
