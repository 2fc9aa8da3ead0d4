import { JSON_OPTION, jsonText } from "../../../chassis/cli/asking.ts";
import { type Command, CommandExit } from "../../../chassis/cli/command.ts";
import { pairs } from "../../../chassis/cli/table.ts";
import { counted } from "../../../chassis/log/counted.ts";
import { type EtcdMember, etcdMembers, membersText } from "../../cluster/etcd/etcd_members.ts";
import { Entries } from "../../cluster/session/entries.ts";
import { type ClusterPhase, decodeMeta } from "../../cluster/keys/meta_record.ts";
import { CLUSTER_OPTIONS } from "./cluster_settings.ts";
import { type HostEntry, knownSessions } from "./known_hosts.ts";
import { type OpenedCluster, withCluster } from "./opened_cluster.ts";

/** How a cluster is: what `cluster status --json` prints, see docs/json.md. */
export interface ClusterOverview {
  readonly name: string;
  readonly endpoints: readonly string[];
  /** The members at these, with their versions. */
  readonly members: readonly EtcdMember[];
  /** Whether a host has ever joined. */
  readonly founded: boolean;
  /** Whether new locks are had; absent where no host has ever joined. */
  readonly phase?: ClusterPhase;
  /** What a cluster waits for that is not open. */
  readonly awaited?: string;
  /** Why it has to be recovered. */
  readonly why?: string;
  /** Names of the lock directories. */
  readonly spaces: readonly string[];
  /** How many sessions there are of each state. */
  readonly hosts: Readonly<Record<HostEntry["state"], number>>;
  /** Locks; what hosts share counts for each of them. */
  readonly locks: number;
}

/** `virtlockd cluster status`: how the cluster is, as etcd has it. */
export const clusterStatusCommand: Command = {
  name: "cluster status",
  purpose: "Shows how the cluster is: its lock directories, hosts and locks. It asks etcd, not the daemon.",
  options: [...CLUSTER_OPTIONS, JSON_OPTION],
  run(context, args) {
    const overview = withCluster(context, args, overviewOf);
    context.out.write(args.has("json") ? jsonText(overview) : overviewText(overview));
    return CommandExit.OK;
  },
};

function overviewOf({ settings, keys, questions }: OpenedCluster): ClusterOverview {
  const [entry] = questions.get(keys.meta);
  const meta = entry === undefined ? undefined : decodeMeta(entry);
  const closed = meta === undefined || meta.phase === "open"
    ? undefined
    : new Entries(keys, questions.list(keys.entries), meta).awaited;
  const hosts = { live: 0, silent: 0, condemned: 0, fenced: 0, left: 0 };
  for (const { state } of knownSessions(questions, keys)) hosts[state]++;
  return {
    name: settings.clusterName,
    endpoints: settings.clusterEndpoints,
    members: etcdMembers(questions.versions()),
    founded: meta !== undefined,
    ...meta === undefined ? {} : { phase: meta.phase },
    ...closed === undefined ? {} : { awaited: closed },
    ...meta === undefined || meta.why === "" ? {} : { why: meta.why },
    spaces: meta?.spaces ?? [],
    hosts,
    locks: questions.list(keys.exclusives).length + questions.list(keys.shares).length,
  };
}

/** The overview for people. */
export function overviewText(overview: ClusterOverview): string {
  const { name, members, founded, spaces, hosts, locks, phase, awaited, why } = overview;
  const state = [phase ?? "none", awaited, why].filter((text) => text !== undefined);
  const states = Object.entries(hosts).filter(([, count]) => count > 0).map(([state, count]) =>
    `${count} ${state}`
  );
  return pairs([
    ["cluster", name],
    ["etcd", membersText(members)],
    ["state", state.join(", ")],
    ["lock directories", founded ? spaces.join(", ") || "none" : "none: no host has joined yet"],
    ["hosts", states.length === 0 ? "none" : states.join(", ")],
    ["locks", locks === 0 ? "none" : counted(locks, "lock")],
  ]);
}
