import { shellOperand } from "../../../base/shell_quoted.ts";
import type { Arguments } from "../../../chassis/cli/arguments.ts";
import { JSON_OPTION, jsonText } from "../../../chassis/cli/asking.ts";
import { timeText } from "../../../chassis/cli/table.ts";
import { counted } from "../../../chassis/log/counted.ts";
import { plainText } from "../../../chassis/log/plain_text.ts";
import { type Command, CommandError, CommandExit } from "../../../chassis/cli/command.ts";
import { chosenHost } from "./chosen_host.ts";
import { CLUSTER_OPTIONS } from "./cluster_settings.ts";
import { LeavingSession, type SessionGuests } from "./leaving_session.ts";
import { type KnownSession, knownSessions } from "./known_hosts.ts";
import { type OpenedCluster, withCluster } from "./opened_cluster.ts";

/** A host that has left: what `cluster leave --json` prints, see docs/json.md. */
export interface LeftHost {
  readonly host: string;
  readonly name: string;
  /** Those that have ended now. */
  readonly sessions: readonly string[];
  /** Locks that were given up, though their guests may run. */
  readonly givenUp: number;
  /** The guests that had them, by their names. */
  readonly guests: readonly string[];
  /** Guests that are there without locks that others have had, or may have: paused, or running on. */
  readonly overtaken: readonly string[];
}

/** `virtlockd cluster leave`: ends a host's membership. */
export const clusterLeaveCommand: Command = {
  name: "cluster leave",
  purpose:
    "Ends the membership of a host that has no locks of the cluster any more. Then take the cluster_ keys out of " +
    "its virtlockd.conf and have it run 'virtlockd reload'. With the keys 'virtlockd cluster join' on it, or its next " +
    "start, has it join again.",
  operand: { name: "HOST", summary: "name or id of the host, or its session" },
  options: [
    { name: "force", summary: "although guests with locks run: other hosts get these locks" },
    ...CLUSTER_OPTIONS,
    JSON_OPTION,
  ],
  run(context, args) {
    const left = withCluster(context, args, (opened) => leave(args, opened));
    context.out.write(args.has("json") ? jsonText(left) : `${plainText(leftText(left))}\n`);
    return CommandExit.OK;
  },
};

function leave(args: Arguments, opened: OpenedCluster): LeftHost {
  const { host, name, sessions: all } = chosenHost(
    knownSessions(opened.questions, opened.keys),
    args.operand,
  );
  const isForced = args.has("force");
  const sessions = all.filter(({ state }) => state !== "fenced" && state !== "left")
    .map(({ session }) => session);
  if (sessions.length === 0) confirmNotFenced(name, all, args.operand);
  // One that has left is looked at too: an earlier command may not have come to its end.
  const ending = all.filter(({ state }) => state !== "fenced").map(({ session, state }) => {
    const leaving = new LeavingSession(opened, session);
    return { leaving, state, guests: leaving.guests() };
  });
  // Nothing is ended before it is certain of all.
  if (!isForced) { for (const { guests, state } of ending) confirmNone(name, guests, state); }
  for (const { leaving, state, guests } of ending) {
    const isOver = state === "left" && guests.running.length + guests.overtaken.length === 0;
    if (!isOver) leaving.end(isForced ? "given-up" : "none");
  }
  const given = ending.map(({ guests }) => guests);
  const running = given.flatMap((guests) => guests.running);
  const overtaken = given.flatMap((guests) => guests.overtaken);
  const givenUp = running.length;
  return { host, name, sessions, givenUp, guests: distinct(running), overtaken: distinct(overtaken) };
}

/**
 * Of a host without a session that stands: what was said of it the last time counts.
 *
 * @throws CommandError when it was fenced
 */
function confirmNotFenced(name: string, sessions: readonly KnownSession[], meant: string): void {
  const [last] = sessions.toSorted((a, b) => b.entry.changedAt - a.entry.changedAt);
  if (last?.fencing === undefined) return;
  const { by, from, atMs } = last.fencing;
  const when = atMs === 0 ? "" : `, ${timeText(atMs)}`;
  throw new CommandError(
    CommandExit.PROBLEM,
    plainText(
      `Host '${name}' has not left, and nothing was changed: it was fenced by ${by} on ${from}${when}, and is ` +
        "no member since. Should it come back, it joins again, unless the cluster_ keys are taken out of its " +
        `virtlockd.conf before. To take it off the list: virtlockd cluster remove ${shellOperand(meant)}`,
    ),
  );
}

/** @throws CommandError when a host cannot leave as it is */
function confirmNone(
  host: string,
  { running, overtaken }: SessionGuests,
  state: KnownSession["state"],
): void {
  if (running.length === 0 && overtaken.length === 0) return;
  const locks = running.length === 0
    ? []
    : [`it has ${counted(running.length, "lock")} of ${quoted(running)}`];
  // A mark is of a guest that is paused there, or of one that runs on and has lost its lock.
  const marks = overtaken.length === 0 ? [] : [`${quoted(overtaken)} ${isOrAre(overtaken)} there ${WITHOUT}`];
  const what = [...locks, ...marks].join(", and ");
  const text = state === "left"
    ? `has left, and not all that it had is given up: ${what}. See that those guests are gone, and give that ` +
      "up too, with --force"
    : `has not left: ${what}. ${
      adviceOn(running, overtaken)
    }. Or have it leave all the same, and give all of ` +
      "that up, with --force";
  throw new CommandError(CommandExit.PROBLEM, plainText(`Host '${host}' ${text}`));
}

function adviceOn(running: readonly string[], overtaken: readonly string[]): string {
  return [
    ...running.length === 0 ? [] : ["Shut guests with locks down or move them"],
    ...overtaken.length === 0
      ? []
      : ["Destroy those without there: on a host that has left they may go on over what others have written"],
  ].join(". ");
}

function leftText({ name, sessions, givenUp, guests, overtaken }: LeftHost): string {
  return [
    `Host '${name}' has left the cluster${sessions.length === 0 ? " already" : ""}` +
    (givenUp === 0 ? "" : `, and has given up ${counted(givenUp, "lock")} of ${quoted(guests)}`),
    ...givenUp === 0 ? [] : ["Other hosts may have these disks now: shut those guests down"],
    ...overtaken.length === 0 ? [] : [
      `Destroy ${quoted(overtaken)}, which ${isOrAre(overtaken)} there ${WITHOUT}, and would overwrite ` +
      "what these have written",
    ],
    "Take the cluster_ keys out of its virtlockd.conf, then 'virtlockd reload' there",
  ].join(". ");
}

/** What is so of each guest that has a mark. */
const WITHOUT = "without locks that others have had, or may have";

function isOrAre(names: readonly string[]): string {
  return distinct(names).length === 1 ? "is" : "are";
}

function quoted(names: readonly string[]): string {
  return distinct(names).map((name) => `'${name}'`).join(", ");
}

function distinct(names: readonly string[]): string[] {
  return [...new Set(names)];
}
