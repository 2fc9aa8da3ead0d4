import { JSON_OPTION, jsonText } from "../../../chassis/cli/asking.ts";
import { counted } from "../../../chassis/log/counted.ts";
import { plainText } from "../../../chassis/log/plain_text.ts";
import { type Command, CommandError, CommandExit } from "../../../chassis/cli/command.ts";
import { chosenHost } from "./chosen_host.ts";
import { CLUSTER_OPTIONS } from "./cluster_settings.ts";
import { LeavingSession, type SessionGuests } from "./leaving_session.ts";
import { knownSessions } from "./known_hosts.ts";
import { withCluster } from "./opened_cluster.ts";

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
  /** Guests that are paused there, and whose disks others have had since. */
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
    const left = withCluster(context, args, (opened): LeftHost => {
      const { host, name, sessions: all } = chosenHost(
        knownSessions(opened.questions, opened.keys),
        args.operand,
      );
      const sessions = all.filter(({ state }) => state !== "fenced" && state !== "left")
        .map(({ session }) => session);
      const given: SessionGuests[] = [];
      for (const session of sessions) {
        const leaving = new LeavingSession(opened, session);
        const guests = leaving.guests();
        if (!args.has("force")) confirmNone(name, guests);
        leaving.end(args.has("force") ? "given-up" : "none");
        given.push(guests);
      }
      const running = given.flatMap((guests) => guests.running);
      const overtaken = given.flatMap((guests) => guests.overtaken);
      const givenUp = running.length;
      return { host, name, sessions, givenUp, guests: distinct(running), overtaken: distinct(overtaken) };
    });
    context.out.write(args.has("json") ? jsonText(left) : `${plainText(leftText(left))}\n`);
    return CommandExit.OK;
  },
};

/** @throws CommandError when a host cannot leave as it is */
function confirmNone(host: string, { running, overtaken }: SessionGuests): void {
  if (running.length === 0 && overtaken.length === 0) return;
  const locks = running.length === 0
    ? []
    : [`it has ${counted(running.length, "lock")} of ${quoted(running)}`];
  const marks = overtaken.length === 0 ? [] : [`others have had disks of ${quoted(overtaken)}, paused there`];
  const advice = [
    ...running.length === 0 ? [] : ["Shut guests with locks down or move them"],
    ...overtaken.length === 0
      ? []
      : ["Destroy paused ones there: a host that has left may resume them over what others have written"],
  ];
  throw new CommandError(
    CommandExit.PROBLEM,
    plainText(
      `Host '${host}' has not left: ${[...locks, ...marks].join(", and ")}. ${
        advice.join(". ")
      }. Or have it leave all the same, and give all of that up, with --force`,
    ),
  );
}

function leftText({ name, givenUp, guests, overtaken }: LeftHost): string {
  return [
    `Host '${name}' has left the cluster` +
    (givenUp === 0 ? "" : `, and has given up ${counted(givenUp, "lock")} of ${quoted(guests)}`),
    ...givenUp === 0 ? [] : ["Other hosts may have these disks now: shut those guests down"],
    ...overtaken.length === 0 ? [] : [
      `Destroy ${
        overtaken.join(", ")
      }, paused there: others have had its disks, and it would overwrite what they have written`,
    ],
    "Take the cluster_ keys out of its virtlockd.conf, then 'virtlockd reload' there",
  ].join(". ");
}

function quoted(names: readonly string[]): string {
  return distinct(names).map((name) => `'${name}'`).join(", ");
}

function distinct(names: readonly string[]): string[] {
  return [...new Set(names)];
}
