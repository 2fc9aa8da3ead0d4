import { shellQuoted } from "../../../base/shell_quoted.ts";
import type { Arguments } from "../../../chassis/cli/arguments.ts";
import { JSON_OPTION, jsonText } from "../../../chassis/cli/asking.ts";
import {
  type Command,
  type CommandContext,
  CommandError,
  CommandExit,
} from "../../../chassis/cli/command.ts";
import { timeText } from "../../../chassis/cli/table.ts";
import { counted } from "../../../chassis/log/counted.ts";
import { plainText } from "../../../chassis/log/plain_text.ts";
import { type ChosenHost, chosenHost } from "./chosen_host.ts";
import { CLUSTER_OPTIONS } from "./cluster_settings.ts";
import { Fencer } from "./fencer.ts";
import { type HostEntry, hostEntry, type KnownSession, knownSessions } from "./known_hosts.ts";
import { type ClusterLockEntry, knownLocks } from "./known_locks.ts";
import { agree } from "../../../chassis/cli/agreed.ts";
import { type OpenedCluster, withCluster } from "./opened_cluster.ts";
import { wordOf } from "./word.ts";

/** Most guests that are named one by one. */
const NAMED_GUESTS = 10;

/** A session that was fenced: an entry of what `cluster fence --json` prints, see docs/json.md. */
export interface FencedEntry {
  readonly host: string;
  readonly name: string;
  readonly session: string;
  /** Locks that were taken away from it now. */
  readonly freed: number;
}

/** `virtlockd cluster fence`: the word that a host cannot write any more. */
export const clusterFenceCommand: Command = {
  name: "cluster fence",
  purpose:
    "Says for good that a host cannot write to any disk until its guests are gone, and frees its locks. A " +
    "host that shows that it lives is not fenced.",
  operand: { name: "HOST", summary: "name or id of the host, or one of its sessions" },
  options: [
    ...CLUSTER_OPTIONS,
    JSON_OPTION,
    { name: "dead", summary: "although it shows that it lives, or without waiting whether it does" },
    { name: "yes", summary: "do not ask" },
  ],
  run(context, args) {
    const fenced = withCluster(context, args, (cluster) => fence(context, args, cluster));
    const text = fenced.length === 0 ? nothingText(args.operand) : fenced.map(fencedText).join("");
    context.out.write(args.has("json") ? jsonText(fenced) : text);
    return CommandExit.OK;
  },
};

function fence(context: CommandContext, args: Arguments, { questions, keys }: OpenedCluster): FencedEntry[] {
  const sessions = knownSessions(questions, keys);
  const chosen = chosenHost(sessions, args.operand);
  const targets = targetsOf(chosen, args.has("dead"));
  const locks = knownLocks(questions, keys, sessions.map(hostEntry));
  if (targets.length === 0) confirmGivenUp(chosen, locks);
  const open = targets.filter(({ state }) => state !== "fenced");
  if (open.length > 0) {
    agree(
      context,
      args,
      "Nothing was fenced",
      `${open.map((each) => sessionText(each, locks)).join("")}${MEANING}`,
    );
  }
  const fencer = new Fencer({ questions, keys, word: wordOf(context) });
  return targets.map(({ host, name, session, entry }) => {
    const done = fencer.fence(entry, args.has("dead"));
    return { host, name, session, freed: fencer.sweep(session, done) };
  });
}

const MEANING =
  "To fence it is your word that it cannot write to the disks of these locks until the guests are gone that it has:\n" +
  "because it is off and stays off, or because the storage does not let it in any more. Other hosts get the locks at\n" +
  "once. If it can write all the same, two guests will write to one disk and destroy it. This cannot be taken back.\n" +
  'Type "yes" to fence it: ';

/** The sessions that are to be fenced: those of which nobody shows that they live. */
function targetsOf({ name, sessions }: ChosenHost, dead: boolean): readonly KnownSession[] {
  // One that has left has nothing, and is never written again.
  const there = sessions.filter(({ state }) => state !== "left");
  if (dead) return there;
  const silent = there.filter(({ state }) => state !== "live");
  if (there.length === silent.length || silent.some(({ state }) => state !== "fenced")) return silent;
  // As when the command is said again, behind a loss of power.
  const before = silent.length === 0 ? "" : ". What it had before was fenced already";
  throw new CommandError(
    CommandExit.PROBLEM,
    `Host '${name}' has not been fenced: it lives, for it was heard of in etcd within the last 10 s. Shut it down ` +
      `or cut it off from the disks first; if that is done, and only its daemon still reaches etcd, say --dead${before}`,
  );
}

/** Of a host all of whose sessions have left. @throws CommandError when not all of its locks are given up */
function confirmGivenUp({ name, sessions }: ChosenHost, locks: readonly ClusterLockEntry[]): void {
  const left = sessions.find(({ session }) => locks.some((lock) => lock.session === session));
  if (left === undefined) return;
  const its = locks.filter(({ session }) => session === left.session);
  throw new CommandError(
    CommandExit.PROBLEM,
    plainText(
      `Host '${name}' has not been fenced: it has left the cluster, and ${
        counted(its.length, "lock")
      } of it ${
        its.length === 1 ? "was" : "were"
      } not given up then. When their guests are gone: virtlockd cluster ` +
        `leave ${shellQuoted(left.session)} --force`,
    ),
  );
}

/** What is known of a session that is about to be fenced. */
export function sessionText(session: HostEntry, locks: readonly ClusterLockEntry[]): string {
  const its = locks.filter((lock) => lock.session === session.session);
  const guests = [...new Set(its.map(({ domain }) => domain))];
  const more = guests.length > NAMED_GUESTS ? ` and ${guests.length - NAMED_GUESTS} more` : "";
  const named = guests.length === 0 ? "" : `, of ${guests.slice(0, NAMED_GUESTS).join(", ")}${more}`;
  const { name, host, boot, state, fencing, quiet } = session;
  const said = fencing === undefined ? "" : ` by ${fencing.by} on ${fencing.from}, ${timeText(fencing.atMs)}`;
  // Nothing that is known of it says that it is off.
  const runs = quiet === true ? ". Its daemon was stopped in order, and these guests may run on" : "";
  return `${
    plainText(
      `Host '${name}' (id ${host}, boot ${boot}), ${state}${said}: ${
        counted(its.length, "lock")
      }${named}${runs}`,
    )
  }\n`;
}

/** Of a host all of whose sessions have left. */
function nothingText(host: string): string {
  return `${
    plainText(`Host '${host}' has left the cluster, and has no lock there: nothing is to be fenced.`)
  }\n`;
}

function fencedText({ name, session, freed }: FencedEntry): string {
  const what = freed === 0
    ? "it had no locks"
    : `${counted(freed, "lock")} of it ${freed === 1 ? "is" : "are"} free`;
  return `${plainText(`Host '${name}' is fenced (session ${session}): ${what}.`)}\n`;
}
