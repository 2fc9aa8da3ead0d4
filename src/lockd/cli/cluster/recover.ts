import { JSON_OPTION, jsonText } from "../../../chassis/cli/asking.ts";
import { type Command, CommandError, CommandExit } from "../../../chassis/cli/command.ts";
import { UsageError } from "../../../chassis/config/usage_error.ts";
import type { Fencing } from "../../cluster/keys/fencing_record.ts";
import type { MetaRecord } from "../../cluster/keys/meta_record.ts";
import { encodeRecord } from "../../cluster/keys/records.ts";
import { decodeSession } from "../../cluster/keys/session_record.ts";
import { agree, NEEDS_YES } from "../../../chassis/cli/agreed.ts";
import { ClosedCluster, EXPECT_OPTIONS, hostsOf, waitOf } from "./closed_cluster.ts";
import { CLUSTER_OPTIONS } from "./cluster_settings.ts";
import { type KnownSession, knownSessions } from "./known_hosts.ts";
import { withCluster } from "./opened_cluster.ts";
import { wordOf } from "./word.ts";

/** A cluster that was recovered: what `cluster recover --json` prints, see docs/json.md. */
export interface RecoveredCluster {
  readonly name: string;
  /** The hosts that have put in what they have. */
  readonly expect: readonly string[];
  /** The hosts whose locks were given up. */
  readonly without: readonly string[];
}

/** `virtlockd cluster recover`: says which hosts a cluster has whose etcd has lost something. */
export const clusterRecoverCommand: Command = {
  name: "cluster recover",
  purpose:
    "Recovers a cluster whose etcd was restored, emptied or exchanged: each host that is named puts in again " +
    "the locks that it has, and nothing new is locked before all have.",
  options: [
    ...EXPECT_OPTIONS,
    {
      name: "without",
      value: "HOST,...",
      summary: "hosts that are off and stay off until their guests are gone: their locks are given up",
    },
    { name: "yes", summary: "do not ask" },
    ...CLUSTER_OPTIONS,
    JSON_OPTION,
  ],
  run(context, args) {
    const expect = hostsOf(args, "expect");
    const without = hostsOf(args, "without");
    const both = expect.find((host) => without.includes(host));
    if (both !== undefined) throw new UsageError(`Host "${both}" cannot be expected and be left out`);
    const wait = waitOf(args);
    // That a host is off nobody here can know.
    if (without.length > 0) agree(context, args, "Nothing was changed", questionOf(without), NEEDS_YES);
    const recovered = withCluster(context, args, (opened): RecoveredCluster => {
      const { questions, keys } = opened;
      const cluster = new ClosedCluster(opened);
      const fencing = { state: "fenced", ...wordOf(context) } as const;
      const closed = (meta: MetaRecord): MetaRecord => ({ ...meta, expect, without });
      const besides = () => fence(knownSessions(questions, keys), without, fencing, (id) => keys.session(id));
      cluster.change((meta) => {
        switch (meta.phase) {
          case "forming":
            throw new CommandError(
              CommandExit.PROBLEM,
              "The cluster is new, and has nothing to recover: 'virtlockd cluster open --help'",
            );
          case "recovering":
            return closed(meta);
          case "open": {
            const why = `asked for by ${fencing.by} on ${fencing.from}`;
            return closed({ ...meta, phase: "recovering", round: crypto.randomUUID(), why });
          }
        }
      }, besides);
      // Each host that has seen more than there is now closes the cluster when it notices that, and each does
      // so at its own time. Who has said which hosts there are need not look, and say it again for each.
      cluster.awaitOpen(wait, () => {
        cluster.change((meta) => meta.phase === "recovering" ? closed(meta) : undefined, besides);
      });
      return { name: opened.settings.clusterName, expect, without };
    });
    context.out.write(args.has("json") ? jsonText(recovered) : "The cluster is open again.\n");
    return CommandExit.OK;
  },
};

/** That hosts are left out is said of all their sessions, with the same change. */
function fence(
  sessions: readonly KnownSession[],
  without: readonly string[],
  fencing: Fencing,
  keyOf: (session: string) => string,
) {
  const left = sessions.filter(({ host, name, state }) =>
    state !== "fenced" && (without.includes(host) || without.includes(name))
  );
  return {
    compare: left.map(({ session, entry }) => ({
      kind: "changed-at",
      key: keyOf(session),
      revision: entry.changedAt,
    } as const)),
    put: left.map(({ session, entry }) => ({
      op: "put",
      key: keyOf(session),
      value: encodeRecord({ ...decodeSession(entry), fencing }),
    } as const)),
  };
}

function questionOf(without: readonly string[]): string {
  return `Are ${
    without.join(", ")
  } off, and will stay off until none of their guests is left? If one of them runs, two ` +
    'guests may write to one disk. Type "yes" if they are: ';
}
