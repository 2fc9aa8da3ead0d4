import { JSON_OPTION, jsonText } from "../../../chassis/cli/asking.ts";
import { counted } from "../../../chassis/log/counted.ts";
import { plainText } from "../../../chassis/log/plain_text.ts";
import { type Command, CommandError, CommandExit } from "../../../chassis/cli/command.ts";
import { chosenHost } from "./chosen_host.ts";
import { CLUSTER_OPTIONS } from "./cluster_settings.ts";
import { LeavingSession } from "./leaving_session.ts";
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
      const host = chosenHost(knownSessions(opened.questions, opened.keys), args.operand);
      const sessions = host.sessions.filter(({ state }) => state !== "fenced" && state !== "left");
      const { name } = host;
      let givenUp = 0;
      for (const { session } of sessions) {
        const leaving = new LeavingSession(opened, session);
        const guests = leaving.guests();
        if (guests.length > 0 && !args.has("force")) {
          throw new CommandError(
            CommandExit.PROBLEM,
            plainText(
              `Host '${name}' has not left: it has ${counted(guests.length, "lock")} of ${
                [...new Set(guests)].join(", ")
              }. Shut these guests down or move them, or give their locks up with --force`,
            ),
          );
        }
        leaving.end(args.has("force") ? "given-up" : "none");
        givenUp += guests.length;
      }
      return { host: host.host, name, sessions: sessions.map(({ session }) => session), givenUp };
    });
    const given = left.givenUp === 0 ? "" : `, and has given up ${counted(left.givenUp, "lock")}`;
    context.out.write(
      args.has("json") ? jsonText(left) : plainText(
        `Host '${left.name}' has left the cluster${given}. Take the cluster_ keys out of its virtlockd.conf, then ` +
          "virtlockd reload",
      ) + "\n",
    );
    return CommandExit.OK;
  },
};
