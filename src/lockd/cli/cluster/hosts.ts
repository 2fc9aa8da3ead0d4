import { JSON_OPTION, jsonText } from "../../../chassis/cli/asking.ts";
import { type Command, CommandExit } from "../../../chassis/cli/command.ts";
import { table, timeText } from "../../../chassis/cli/table.ts";
import { CLUSTER_OPTIONS } from "./cluster_settings.ts";
import { type HostEntry, hostEntry, knownSessions } from "./known_hosts.ts";
import { nobodyIn, withCluster } from "./opened_cluster.ts";
import { UnreadableKeys } from "./unreadable_keys.ts";

const HEADER = ["HOST", "ID", "SESSION", "BOOT", "STATE"];

/** `virtlockd cluster hosts`: who is a member. */
export const clusterHostsCommand: Command = {
  name: "cluster hosts",
  purpose: "Lists the hosts of the cluster: id, session, boot, and whether they are heard of.",
  options: [...CLUSTER_OPTIONS, JSON_OPTION],
  run(context, args) {
    const unreadable = new UnreadableKeys();
    const { hosts, none } = withCluster(context, args, (cluster) => {
      const hosts = knownSessions(cluster.questions, cluster.keys, unreadable.read).map(hostEntry);
      return { hosts, none: hosts.length === 0 ? nobodyIn(cluster) : "" };
    });
    context.out.write(args.has("json") ? jsonText(hosts) : hostsText(hosts, none));
    unreadable.tell();
    return CommandExit.OK;
  },
};

/** A table with a row for each session. @param none what is said besides where there is none */
export function hostsText(hosts: readonly HostEntry[], none = ""): string {
  if (hosts.length === 0) return `No hosts${none}.\n`;
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
