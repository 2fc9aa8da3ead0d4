import { JSON_OPTION, jsonText } from "../../../chassis/cli/asking.ts";
import { type Command, CommandError, CommandExit } from "../../../chassis/cli/command.ts";
import { pairs } from "../../../chassis/cli/table.ts";
import { counted } from "../../../chassis/log/counted.ts";
import {
  type EtcdMember,
  etcdMembers,
  foreignText,
  membersText,
  ONE_ETCD,
} from "../../cluster/etcd/etcd_members.ts";
import { Entries } from "../../cluster/session/entries.ts";
import { type ClusterPhase, decodeMeta } from "../../cluster/keys/meta_record.ts";
import { decodeHolder } from "../../cluster/keys/lock_holder.ts";
import { CLUSTER_OPTIONS } from "./cluster_settings.ts";
import { type HostEntry, knownSessions } from "./known_hosts.ts";
import { type OpenedCluster, withCluster } from "./opened_cluster.ts";
import { type Reading, UnreadableKeys } from "./unreadable_keys.ts";
import { unknownAmong, unknownText } from "./unknown_names.ts";
import type { EtcdQuestions } from "./etcd_questions.ts";
import type { ClusterSettings } from "../../identity/cluster_settings.ts";

/** How a cluster is: what `cluster status --json` prints, see docs/json.md. */
export interface ClusterOverview {
  readonly name: string;
  readonly endpoints: readonly string[];
  /** The members at these, with their versions. */
  readonly members: readonly EtcdMember[];
  /** Whether a host has ever joined. */
  readonly founded: boolean;
  /** Whether new locks are had; absent where no host has ever joined, or that cannot be read. */
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
    const unreadable = new UnreadableKeys();
    const { overview, fault } = withCluster(context, args, (cluster) => ({
      overview: overviewOf(cluster, unreadable.read),
      fault: cluster.questions.limitFault(cluster.keys.meta),
    }));
    context.out.write(args.has("json") ? jsonText(overview) : overviewText(overview));
    unreadable.tell();
    if (fault !== undefined) throw new CommandError(CommandExit.PROBLEM, `No host can be a member: ${fault}`);
    const foreign = foreignText(overview.members);
    if (foreign !== undefined) {
      throw new CommandError(
        CommandExit.PROBLEM,
        `The endpoints are members of different etcds: ${foreign}. ${ONE_ETCD}`,
      );
    }
    return CommandExit.OK;
  },
};

/** @param read how each record is read */
export function overviewOf(
  { settings, keys, questions }: Pick<OpenedCluster, "keys"> & {
    readonly settings: Pick<ClusterSettings, "clusterName" | "clusterEndpoints">;
    readonly questions: Pick<EtcdQuestions, "get" | "list" | "versions">;
  },
  read: Reading,
): ClusterOverview {
  const [entry] = questions.get(keys.meta);
  const meta = entry === undefined ? undefined : read(() => decodeMeta(entry));
  const closed = meta === undefined || meta.phase === "open"
    ? undefined
    : read(() => new Entries(keys, questions.list(keys.entries), meta).awaited);
  const hosts = { live: 0, silent: 0, condemned: 0, fenced: 0, left: 0 };
  let isWhole = true;
  const sessions = knownSessions(questions, keys, (decode) => {
    const record = read(decode);
    isWhole &&= record !== undefined;
    return record;
  });
  for (const { state } of sessions) hosts[state]++;
  // A host that is not there may be what cannot be read.
  const unknown = isWhole ? unknownAmong(sessions, meta?.expect ?? []) : [];
  const strangers = unknown.length === 0 ? "" : ` (${unknownText(unknown)})`;
  return {
    name: settings.clusterName,
    endpoints: settings.clusterEndpoints,
    members: etcdMembers(questions.versions()),
    founded: entry !== undefined,
    ...meta === undefined ? {} : { phase: meta.phase },
    ...closed === undefined ? {} : { awaited: `${closed}${strangers}` },
    ...meta === undefined || meta.why === "" ? {} : { why: meta.why },
    spaces: meta?.spaces ?? [],
    hosts,
    locks: [keys.exclusives, keys.shares].flatMap((prefix) => questions.list(prefix))
      .filter((lock) => read(() => decodeHolder(lock)) !== undefined).length,
  };
}

/** The overview for people. */
export function overviewText(overview: ClusterOverview): string {
  const { name, members, founded, spaces, hosts, locks, phase, awaited, why } = overview;
  const unphased = founded ? "not known" : "none";
  const state = [phase ?? unphased, awaited, why].filter((text) => text !== undefined);
  const states = Object.entries(hosts).filter(([, count]) => count > 0).map(([state, count]) =>
    `${count} ${state}`
  );
  return pairs([
    ["cluster", name],
    ["etcd", membersText(members)],
    ["state", state.join(", ")],
    [
      "lock directories",
      founded
        ? spaces.join(", ") || (phase === undefined ? unphased : "none")
        : "none: no host has joined yet",
    ],
    ["hosts", states.length === 0 ? "none" : states.join(", ")],
    ["locks", locks === 0 ? "none" : counted(locks, "lock")],
  ]);
}
