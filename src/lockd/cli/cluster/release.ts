import type { Arguments } from "../../../chassis/cli/arguments.ts";
import { JSON_OPTION, jsonText } from "../../../chassis/cli/asking.ts";
import {
  type Command,
  type CommandContext,
  CommandError,
  CommandExit,
} from "../../../chassis/cli/command.ts";
import { timeText } from "../../../chassis/cli/table.ts";
import { isShownAs, plainText } from "../../../chassis/log/plain_text.ts";
import { absolute, workingDirectory } from "../../../chassis/start/self.ts";
import { releaseByHand } from "../../cluster/keys/fencing.ts";
import { ClusterNames, decodeName } from "../../cluster/keys/names.ts";
import { agree } from "../../../chassis/cli/agreed.ts";
import { CLUSTER_OPTIONS } from "./cluster_settings.ts";
import { hostEntry, knownSessions } from "./known_hosts.ts";
import { type ClusterLockEntry, type KnownLock, knownLocks, lockEntry } from "./known_locks.ts";
import { type OpenedCluster, withCluster } from "./opened_cluster.ts";

/** `virtlockd cluster release`: the word that one guest cannot write any more. */
export const clusterReleaseCommand: Command = {
  name: "cluster release",
  purpose:
    "Frees one lock of a host of which nothing is heard, by the word that its guest cannot write to the disk " +
    "any more. While the host lives it refuses: there it is 'virtlockd release' that frees it.",
  operand: { name: "RESOURCE", summary: "name of the lock as `cluster locks` lists it, or path of its file" },
  options: [
    ...CLUSTER_OPTIONS,
    JSON_OPTION,
    { name: "space", value: "NAME", summary: "the cluster's lock directory, where the name is in several" },
    { name: "host", value: "HOST", summary: "name, id or session of the host, where several share the lock" },
    { name: "force", summary: "although the host lives" },
    { name: "yes", summary: "do not ask" },
  ],
  run(context, args) {
    const released = withCluster(context, args, (cluster) => release(context, args, cluster));
    const back = released.state === "live" ? COMES_BACK : "";
    context.out.write(args.has("json") ? jsonText(released) : `Released: ${lockText(released)}${back}`);
    return CommandExit.OK;
  },
};

const COMES_BACK =
  "Its host lives: if its daemon still has the lock, and no other host by then, it puts it back " +
  "before long.\nFor good it is freed there, with 'virtlockd release'.\n";

function release(
  context: CommandContext,
  args: Arguments,
  { settings, questions, keys }: OpenedCluster,
): ClusterLockEntry {
  const sessions = knownSessions(questions, keys);
  const spaces = [...settings.clusterLockspaces].map(([name, directory]) => ({ name, directory }));
  const path = absolute(args.operand, workingDirectory(context.sys));
  const byPath = new ClusterNames(spaces, (named) => named).of(path);
  const host = args.value("host");
  const space = args.value("space");
  const meant = (lock: KnownLock, isCalled: (name: string, called: string) => boolean) => {
    const named = byPath === undefined
      ? isCalled(lock.name, args.operand)
      : lock.space === byPath.space && lock.name === decodeName(byPath.name);
    const session = sessions.find((each) => each.session === lock.session);
    const names = [lock.session, session?.host ?? "", session?.name ?? ""];
    return named && (space === undefined || isCalled(lock.space, space)) &&
      (host === undefined || names.some((name) => isCalled(name, host)));
  };
  const locks = knownLocks(questions, keys, sessions.map(hostEntry));
  const found = locks.filter((lock) => meant(lock, (name, called) => name === called));
  // Of a name with odd characters people have what the list shows.
  const shown = locks.filter((lock) => meant(lock, isShownAs));
  const lock = theOne(found.length > 0 ? found : shown, whatIsMeant(args));
  // One that was condemned may live, and is about to object.
  const lives = sessions.some(({ session, heard }) => session === lock.session && heard);
  if (lives && lock.state !== "fenced" && !args.has("force")) {
    throw new CommandError(
      CommandExit.PROBLEM,
      `Nothing was released: host '${lock.host}' lives, and has the lock for domain '${lock.domain}'. End that ` +
        `guest, and the lock goes by itself; or free it there, with 'virtlockd release'`,
    );
  }
  agree(
    context,
    args,
    "Nothing was released",
    `${
      lockText(lockEntry(lock))
    }To release it is your word that this guest cannot write to the disk any more. If it ` +
      'can, two guests\nwill write to it and destroy it. Type "yes" to release the lock: ',
  );
  const { key } = lock.entry;
  const changed = questions.change(
    releaseByHand(lock.entry, keys.own(lock.session, key), keys.want(lock.session, key)),
  );
  if (changed.kind === "unknown") {
    throw new CommandError(
      CommandExit.UNREACHABLE,
      `etcd does not answer: ${changed.reason}. Whether the lock is free is not known; call this again`,
    );
  }
  if (changed.result.succeeded) return lockEntry(lock);
  throw new CommandError(
    CommandExit.PROBLEM,
    "Nothing was released: meanwhile the lock was released, written anew or given to somebody else",
  );
}

/** What was asked for, in words. */
function whatIsMeant(args: Arguments): string {
  const space = args.value("space");
  const host = args.value("host");
  return `${args.operand}${space === undefined ? "" : ` in space '${space}'`}${
    host === undefined ? "" : ` of host '${host}'`
  }`;
}

/** @param meant what was asked for, in words */
function theOne(found: readonly KnownLock[], meant: string): KnownLock {
  const [lock, another] = found;
  if (lock === undefined) {
    throw new CommandError(
      CommandExit.PROBLEM,
      `There is no lock on ${meant} in the cluster; virtlockd cluster locks lists them`,
    );
  }
  if (another === undefined) return lock;
  const all = found.map(({ space, host, session }) => `${space} of ${host || session}`).join(", ");
  throw new CommandError(
    CommandExit.PROBLEM,
    `There are several locks on ${meant}, choose one with --space or --host: ${all}`,
  );
}

function lockText(
  { space, name, mode, domain, uuid, pid, host, session, sinceMs, state }: ClusterLockEntry,
): string {
  return `${
    plainText(
      `${space}/${name}, ${mode}, of domain '${domain}' (uuid ${uuid}, pid ${pid}) since ${
        timeText(sinceMs)
      } on host ` +
        `'${host || session}' (${state})`,
    )
  }\n`;
}
