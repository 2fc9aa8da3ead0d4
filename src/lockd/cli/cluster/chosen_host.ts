import { CommandError, CommandExit } from "../../../chassis/cli/command.ts";
import { type KnownSession, sessionsOf } from "./known_hosts.ts";

/** The host that a command is about, with its sessions: that of its present start, and of earlier ones. */
export interface ChosenHost {
  /** Its id. */
  readonly host: string;
  readonly name: string;
  readonly sessions: readonly KnownSession[];
}

/**
 * The host that is meant by its name, its id or one of its sessions; by a session only that is chosen.
 *
 * @throws CommandError when there is none, or several have the name
 */
export function chosenHost(sessions: readonly KnownSession[], meant: string): ChosenHost {
  const [bySession] = sessions.filter(({ session }) => session === meant);
  if (bySession !== undefined) {
    return { host: bySession.host, name: bySession.name, sessions: [bySession] };
  }
  const found = sessionsOf(sessions, meant);
  const [first] = found;
  if (first === undefined) {
    throw new CommandError(
      CommandExit.PROBLEM,
      `There is no host '${meant}' in the cluster; virtlockd cluster hosts lists them`,
    );
  }
  const ids = new Set(found.map(({ host }) => host));
  if (ids.size > 1) {
    throw new CommandError(
      CommandExit.PROBLEM,
      // What is the id of one may be the name of another: each has sessions of its own.
      `Several hosts are called '${meant}', choose one by its ${
        ids.has(meant)
          ? `session: ${found.map(({ session, host }) => `${session} (id ${host})`).join(", ")}`
          : `id: ${[...ids].join(", ")}`
      }`,
    );
  }
  return { host: first.host, name: first.name, sessions: found };
}
