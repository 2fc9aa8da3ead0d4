import { CommandError, CommandExit } from "../../../chassis/cli/command.ts";
import { plainText } from "../../../chassis/log/plain_text.ts";
import { type HostEntry, knownSessions } from "./known_hosts.ts";
import type { OpenedCluster } from "./opened_cluster.ts";

/** What is to be done about a host that is not named where every one has to be expected. */
export const NAME_EVERY_HOST =
  "Name every host with --expect. One that is off for good is fenced, or made to leave, before";
/** The same of one that has come when that could not be seen to any more. */
export const OPENED_WITHOUT =
  "The cluster is open, and was not waiting for it: start no guest elsewhere on a " +
  "disk that it uses, before 'virtlockd status' says live on it";

/**
 * Every host of the cluster that is neither fenced nor has left has to be named: nobody waits for one that is
 * not, so it may go on with what another one gets.
 *
 * @param named ids or names
 * @param advice what is to be done about others
 * @throws CommandError
 */
export function confirmAllNamed(
  opened: Pick<OpenedCluster, "questions" | "keys">,
  named: readonly string[],
  advice: string,
): void {
  const members = membersOf(opened);
  // By a name that two have one would be waited for, and the other one not; so by one that is another's id.
  const isOne = (called: string) =>
    new Set(members.filter(({ host, name }) => host === called || name === called).map(({ host }) => host))
      .size === 1;
  // By any of its sessions: a host may have had another name before.
  const meant = new Set(
    members.filter(({ host, name }) => named.includes(host) || (named.includes(name) && isOne(name)))
      .map(({ host }) => host),
  );
  const unnamed = members.filter(({ host }) => !meant.has(host));
  if (unnamed.length === 0) return;
  const hosts = [...new Set(unnamed.map(({ name, host }) => `${name} (id ${host})`))];
  throw new CommandError(
    CommandExit.PROBLEM,
    plainText(`${hosts.join(", ")}: of the cluster, and not named. ${advice}`),
  );
}

/**
 * Whoever has named a host of a cluster that is open by now takes it for a member. It may be none: what was
 * open before waits for nobody, and somebody else may have said meanwhile that it is dead.
 *
 * @throws CommandError when one is not
 */
export function confirmMembers(
  opened: Pick<OpenedCluster, "questions" | "keys">,
  expect: readonly string[],
): void {
  const members = membersOf(opened);
  const strangers = expect.filter((named) =>
    !members.some(({ host, name }) => host === named || name === named)
  );
  if (strangers.length === 0) return;
  throw new CommandError(
    CommandExit.PROBLEM,
    plainText(
      `The cluster is open, but no member is called ${strangers.join(", ")}: virtlockd cluster hosts lists ` +
        "them. Start no guest elsewhere on a disk that such a host uses, before 'virtlockd status' says live on it",
    ),
  );
}

function membersOf({ questions, keys }: Pick<OpenedCluster, "questions" | "keys">): HostEntry[] {
  return knownSessions(questions, keys).filter(({ state }) => state !== "left" && state !== "fenced");
}
