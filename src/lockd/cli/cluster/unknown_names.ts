import { plainText } from "../../../chassis/log/plain_text.ts";
import { type HostEntry, knownSessions } from "./known_hosts.ts";
import type { OpenedCluster } from "./opened_cluster.ts";

/** Those of the names, or ids, that no host has that etcd knows: a slip, or a host that is yet to come. */
export function unknownNames(
  { questions, keys }: Pick<OpenedCluster, "questions" | "keys">,
  named: readonly string[],
): readonly string[] {
  return unknownAmong(knownSessions(questions, keys), named);
}

/** The same of hosts that were looked at. */
export function unknownAmong(
  sessions: readonly HostEntry[],
  named: readonly string[],
): readonly string[] {
  return named.filter((each) => !sessions.some(({ host, name }) => host === each || name === each));
}

/** That etcd knows nothing of these, in words. */
export function unknownText(names: readonly string[]): string {
  return plainText(`etcd knows nothing of ${names.join(", ")}`);
}

/** What is said of them at once, while hosts of these names are waited for. */
export function awaitedUnknown(names: readonly string[]): string {
  return `${unknownText(names)}, and the cluster stays closed until each of these has joined. ${COMPARE}`;
}

/** What is said of them when they were waited for in vain. */
export function unknownStill(names: readonly string[]): string {
  return `${unknownText(names)}. ${COMPARE}`;
}

/** What is said of them before a cluster is recovered without hosts of these names. */
export function leftOutUnknown(names: readonly string[]): string {
  return `${unknownText(names)}, so nothing is freed of it. Compare with that host's name, and with its ` +
    "cluster_host_id: under a wrong name the host that is meant is not left out, and puts in what it has when it " +
    "comes back";
}

const COMPARE =
  "Compare with each host's name, and with its cluster_host_id. Where a name is right, start the daemon of that " +
  "host; 'virtlockd cluster join' there says what is in the way. Where one is wrong, say this again, with all hosts";
