import { counted } from "../../../chassis/log/counted.ts";
import { plainText } from "../../../chassis/log/plain_text.ts";
import { type Command, CommandError, CommandExit } from "../../../chassis/cli/command.ts";
import { CLUSTER_OPTIONS } from "./cluster_settings.ts";
import { LeavingSession } from "./leaving_session.ts";
import { type KnownSession, knownSessions } from "./known_hosts.ts";
import { withCluster } from "./opened_cluster.ts";

/** `virtlockd cluster leave`: ends a host's membership. */
export const clusterLeaveCommand: Command = {
  name: "cluster leave",
  purpose:
    "Ends the membership of a host that has no locks of the cluster any more. Then take the cluster_ keys out of " +
    "its virtlockd.conf and have it run 'virtlockd reload'; with the keys it joins again at its next start.",
  operand: { name: "HOST", summary: "name or id of the host, or its session" },
  options: [
    { name: "force", summary: "although guests with locks run: other hosts get these locks" },
    ...CLUSTER_OPTIONS,
  ],
  run(context, args) {
    const left = withCluster(context, args, (opened) => {
      const sessions = sessionsOf(knownSessions(opened.questions, opened.keys), args.operand);
      const name = sessions[0]?.name ?? args.operand;
      let locks = 0;
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
        locks += guests.length;
      }
      return { name, locks };
    });
    const given = left.locks === 0 ? "" : `, and has given up ${counted(left.locks, "lock")}`;
    context.out.write(
      plainText(
        `Host '${left.name}' has left the cluster${given}. Take the cluster_ keys out of its virtlockd.conf, then ` +
          "virtlockd reload",
      ) + "\n",
    );
    return CommandExit.OK;
  },
};

/** The sessions of one host that were not ended yet. @throws CommandError */
function sessionsOf(all: readonly KnownSession[], meant: string): readonly KnownSession[] {
  const bySession = all.filter(({ session }) => session === meant);
  const found = bySession.length > 0
    ? bySession
    : all.filter(({ host, name }) => host === meant || name === meant);
  const ids = [...new Set(found.map(({ host }) => host))];
  if (ids.length > 1) {
    throw new CommandError(
      CommandExit.PROBLEM,
      `Several hosts are called '${meant}', choose one by its id: ${ids.join(", ")}`,
    );
  }
  const ended = found.filter(({ state }) => state !== "fenced" && state !== "left");
  if (found.length > 0) return ended;
  throw new CommandError(
    CommandExit.PROBLEM,
    `There is no host '${meant}' in the cluster; virtlockd cluster hosts lists them`,
  );
}
