import type { MemberVersion } from "../../../etcd/wire/link_messages.ts";

/** A member of etcd as it is shown: part of the status document, see docs/json.md. */
export interface EtcdMember {
  readonly url: string;
  /** What it says of itself; absent: it has not said it. */
  readonly version?: string;
  /** Why it has not. */
  readonly reason?: string;
  /** What is wrong with that version, of one that may break its own contract; absent of the others. */
  readonly unsafe?: string;
  /** That it is a member of another etcd than most, or than others; absent where all are of one. */
  readonly foreign?: string;
}

/** What to do about a version that is not safe. */
export const SAFE_VERSIONS = "upgrade each member to 3.4.32, 3.5.14, 3.6 or later";

/** The first version of a series that is safe; of a later series every one is. */
const FIRST_SAFE: Readonly<Record<string, number>> = { "3.4": 32, "3.5": 14 };

/** Releases whose members may come to differ in what they have. */
const INCONSISTENT: readonly string[] = ["3.4.20", "3.4.21", "3.5.0", "3.5.1", "3.5.2"];

/**
 * What is wrong with a version of etcd: which of its faults could give one lock to two hosts. Source: etcd's
 * lists of changes and its issues 17780 (revisions that decrease after a panic during compaction) and 17158
 * (a delete that broke linearizability).
 *
 * @returns undefined for a version of which no such fault is known
 */
export function whyUnsafe(version: string): string | undefined {
  const [, major = "", minor = "", patch = "", rest = ""] = /^v?(\d+)\.(\d+)\.(\d+)(.*)$/.exec(version) ?? [];
  if (major === "") return "nothing is known of such a version";
  if (INCONSISTENT.includes(`${major}.${minor}.${patch}`)) {
    return "its members may come to differ in what they have";
  }
  const first = FIRST_SAFE[`${major}.${minor}`];
  const series = Number(major) * 1000 + Number(minor);
  // What is tried out before a release may not have what that mends.
  const isLater = first === undefined
    ? series > 3005
    : Number(patch) > first || (Number(patch) === first && !rest.startsWith("-"));
  return isLater ? undefined : "its revisions may decrease, and a delete may be lost";
}

/** What to do about an endpoint of another etcd. */
export const ONE_ETCD =
  "Take what belongs to another etcd out of cluster_endpoints in the configuration of each host, and have it read " +
  "that again (SIGHUP)";

/** Members as they are shown. */
export function etcdMembers(versions: readonly MemberVersion[]): EtcdMember[] {
  const strangers = strangersAmong(versions);
  return versions.map(({ cluster: _, ...member }) => {
    const foreign = strangers.get(member.url);
    const unsafe = "version" in member ? whyUnsafe(member.version) : undefined;
    return {
      ...member,
      ...unsafe === undefined ? {} : { unsafe },
      ...foreign === undefined ? {} : { foreign },
    };
  });
}

/**
 * What is said of each member of another etcd than most of them; where no etcd has more than each other, of
 * all. By the URL.
 */
function strangersAmong(versions: readonly MemberVersion[]): ReadonlyMap<string, string> {
  const byCluster = new Map<string, string[]>();
  for (const { url, cluster } of versions) {
    if (cluster !== undefined) byCluster.set(cluster, [...byCluster.get(cluster) ?? [], url]);
  }
  const said = new Map<string, string>();
  const most = Math.max(...[...byCluster.values()].map(({ length }) => length));
  const isClear = [...byCluster.values()].filter(({ length }) => length === most).length === 1;
  for (const [cluster, urls] of byCluster) {
    if (byCluster.size === 1 || (isClear && urls.length === most)) continue;
    const others = [...byCluster].filter(([other]) => other !== cluster);
    const text = `its etcd has the cluster id ${cluster}, and that of ${
      others.map(([other, at]) => `${at.join(", ")} has ${other}`).join(", and that of ")
    }`;
    for (const url of urls) said.set(url, text);
  }
  return said;
}

/** Those of another etcd than others, for people; undefined where all are of one, as far as is known. */
export function foreignText(members: readonly EtcdMember[]): string | undefined {
  const said = members.flatMap(({ url, foreign }) => foreign === undefined ? [] : [`${url}: ${foreign}`]);
  return said.length === 0 ? undefined : said.join("; ");
}

/** What the versions of the members are, for people: those that are alike are named together. */
export function membersText(members: readonly EtcdMember[]): string {
  const urls = new Map<string, string[]>();
  for (const member of members) {
    const text = memberText(member);
    urls.set(text, [...urls.get(text) ?? [], member.url]);
  }
  return [...urls].map(([text, alike]) => `${alike.join(", ")}: ${text}`).join("; ");
}

function memberText(member: EtcdMember): string {
  const { foreign } = member;
  return `${versionText(member)}${foreign === undefined ? "" : `, ANOTHER ETCD: ${foreign}`}`;
}

function versionText({ version, reason, unsafe }: EtcdMember): string {
  if (version === undefined) return `version not known (${reason})`;
  return unsafe === undefined
    ? `version ${version}`
    : `version ${version}, UNSAFE: ${unsafe}, which may give one lock to two hosts; ${SAFE_VERSIONS}`;
}
