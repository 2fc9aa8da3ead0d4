import { shellQuoted } from "../../../base/shell_quoted.ts";
import { JSON_OPTION, jsonText } from "../../../chassis/cli/asking.ts";
import {
  type Command,
  type CommandContext,
  CommandError,
  CommandExit,
} from "../../../chassis/cli/command.ts";
import type { Arguments } from "../../../chassis/cli/arguments.ts";
import { plainText } from "../../../chassis/log/plain_text.ts";
import { say } from "../../cluster/keys/fencing.ts";
import { decodeSession } from "../../cluster/keys/session_record.ts";
import { chosenHost } from "./chosen_host.ts";
import { CLUSTER_OPTIONS } from "./cluster_settings.ts";
import { Fencer } from "./fencer.ts";
import { knownSessions } from "./known_hosts.ts";
import { type OpenedCluster, withCluster } from "./opened_cluster.ts";
import { wordOf } from "./word.ts";

/** What was removed: what `cluster remove --json` prints, see docs/json.md. */
export interface RemovedHost {
  readonly host: string;
  readonly name: string;
  readonly sessions: readonly string[];
}

/** `virtlockd cluster remove`: takes a host that was fenced or has left out of all lists. */
export const clusterRemoveCommand: Command = {
  name: "cluster remove",
  purpose:
    "Takes a host that was fenced or has left, and all that etcd has of it, out of the cluster's lists, for good. " +
    "Any other one is refused.",
  operand: { name: "HOST", summary: "name or id of the host, or one of its sessions" },
  options: [...CLUSTER_OPTIONS, JSON_OPTION],
  run(context, args) {
    const removed = withCluster(context, args, (cluster) => remove(context, args, cluster));
    const { name, host } = removed;
    const [session = ""] = removed.sessions;
    const what = args.operand === session ? `Session ${session} of host '${name}'` : `Host '${name}'`;
    context.out.write(
      args.has("json") ? jsonText(removed) : `${plainText(`${what} (id ${host}) is removed.`)}\n`,
    );
    return CommandExit.OK;
  },
};

function remove(context: CommandContext, args: Arguments, { questions, keys }: OpenedCluster): RemovedHost {
  const { host, name, sessions } = chosenHost(knownSessions(questions, keys), args.operand);
  const standing = sessions.find(({ state }) => state !== "fenced" && state !== "left");
  if (standing !== undefined) {
    const over = sessions.filter(({ state }) => state === "fenced" || state === "left");
    const advice = over.length === 0
      ? `Shut its guests down, then have it leave: virtlockd cluster leave ${
        shellQuoted(standing.session)
      }; or, when it is off, fence it: virtlockd cluster fence ${shellQuoted(standing.session)}`
      : `What is over of it goes with: ${
        over.map(({ session }) => `virtlockd cluster remove ${shellQuoted(session)}`).join("; ")
      }`;
    throw new CommandError(
      CommandExit.PROBLEM,
      `Host '${name}' has not been removed: its session ${standing.session} is ${standing.state}. ${advice}`,
    );
  }
  const fencer = new Fencer({ questions, keys, word: wordOf(context) });
  for (const { session, entry } of sessions) {
    fencer.forget(session, { key: entry.key, revision: entry.changedAt });
    // The record itself stays: a host that is cut off may come back, and has to find that it was fenced.
    const changed = questions.change(say(entry, { ...decodeSession(entry), removed: true }));
    if (changed.kind === "done" && changed.result.succeeded) continue;
    throw new CommandError(
      CommandExit.UNREACHABLE,
      `Host '${name}' is not wholly removed: etcd does not answer, or somebody else does the same; call this again`,
    );
  }
  return { host, name, sessions: sessions.map(({ session }) => session) };
}
