import { shellQuoted } from "../../../base/shell_quoted.ts";
import { plainText } from "../../../chassis/log/plain_text.ts";
import { decodeMeta } from "../../cluster/keys/meta_record.ts";
import { type HostEntry, knownSessions } from "./known_hosts.ts";
import type { OpenedCluster } from "./opened_cluster.ts";
import { unknownNames, unknownText } from "./unknown_names.ts";

/**
 * What a person types who is to say which hosts a closed cluster has, with those that are known so far.
 *
 * @returns undefined for one that is open, or that no host has joined
 * @throws CommandError, RecordError
 */
export function openingAdvice(
  { questions, keys }: Pick<OpenedCluster, "questions" | "keys">,
): string | undefined {
  const [entry] = questions.get(keys.meta);
  const meta = entry === undefined ? undefined : decodeMeta(entry);
  if (meta === undefined || meta.phase === "open") return undefined;
  const word = meta.phase === "forming" ? "open" : "recover";
  const hosts = namesOf(knownSessions(questions, keys));
  const line = `virtlockd cluster ${word} --expect ${shellQuoted(hosts.join(","))}`;
  if (meta.expect.length > 0) {
    const unknown = unknownNames({ questions, keys }, meta.expect);
    return `${
      toCompare(unknown)
    }'virtlockd cluster join' on each host that it waits for says what is in the way there. If other hosts ` +
      `use the disks than were named, say it again, with all of them; known so far: ${line}`;
  }
  const every = `On one host, with every host that uses the cluster's disks; known so far: ${line}`;
  return meta.phase === "forming"
    ? every
    : `${every}. One that is off, and stays off until its guests are gone, is named with --without instead`;
}

function toCompare(unknown: readonly string[]): string {
  if (unknown.length === 0) return "";
  return `${unknownText(unknown)}: compare with that host's name, and with its cluster_host_id. `;
}

/** What each host is called in a list with commas: by its id where the name does not tell it. */
function namesOf(sessions: readonly HostEntry[]): string[] {
  const standing = sessions.filter(({ state }) => state !== "left" && state !== "fenced");
  const hosts = [...new Map(standing.map(({ host, name }) => [host, name]))];
  return hosts.map(([host, name]) => {
    const isOne = hosts.filter(([id, other]) => other === name || id === name).length === 1;
    const isPlain = name === name.trim() && name === plainText(name) && !name.includes(",");
    return isOne && name !== "" && isPlain ? name : host;
  });
}
