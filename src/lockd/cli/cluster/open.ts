import { JSON_OPTION, jsonText } from "../../../chassis/cli/asking.ts";
import { type Command, CommandError, CommandExit } from "../../../chassis/cli/command.ts";
import { ClosedCluster, EXPECT_OPTIONS, hostsOf, waitOf } from "./closed_cluster.ts";
import { CLUSTER_OPTIONS } from "./cluster_settings.ts";
import { takeDirectories } from "./directories.ts";
import { knownSessions, namesMeant } from "./known_hosts.ts";
import { confirmAllNamed, confirmMembers, NAME_EVERY_HOST, OPENED_WITHOUT } from "./named_hosts.ts";
import { type OpenedCluster, withCluster } from "./opened_cluster.ts";
import { wordOf } from "./word.ts";

/** A cluster that is open: what `cluster open --json` prints, see docs/json.md. */
export interface OpenCluster {
  readonly name: string;
  /** The hosts that were named. */
  readonly expect: readonly string[];
}

/** `virtlockd cluster open`: says which hosts a new cluster has. */
export const clusterOpenCommand: Command = {
  name: "cluster open",
  purpose:
    "Says which hosts a new cluster has, or one with other directories, and waits until it is open: each of them " +
    "joins and puts in the locks that it has already, and nothing new is locked before.",
  options: [
    ...EXPECT_OPTIONS,
    {
      name: "directories",
      summary: "from now on all lock in the directories that virtlockd.conf names here",
    },
    ...CLUSTER_OPTIONS,
    JSON_OPTION,
  ],
  run(context, args) {
    const named = hostsOf(args, "expect");
    const wait = waitOf(args);
    const opened = withCluster(context, args, (cluster): OpenCluster => {
      const closed = new ClosedCluster(cluster, context.warn);
      closed.awaitHost(wait, cluster.settings.clusterName);
      const expect = namesMeant(knownSessions(cluster.questions, cluster.keys), named);
      if (args.has("directories")) takeDirectories(cluster, closed, expect, wordOf(context));
      open(cluster, closed, expect, wait);
      return { name: cluster.settings.clusterName, expect };
    });
    context.out.write(args.has("json") ? jsonText(opened) : "The cluster is open.\n");
    return CommandExit.OK;
  },
};

function open(
  opened: OpenedCluster,
  cluster: ClosedCluster,
  expect: readonly string[],
  wait: number,
): void {
  let forming = false;
  cluster.change((meta) => {
    forming = meta.phase === "forming";
    if (meta.phase === "recovering") {
      throw new CommandError(
        CommandExit.PROBLEM,
        `The cluster is no new one, it has to be recovered (${meta.why}): 'virtlockd cluster recover --help'`,
      );
    }
    if (!forming) return undefined;
    confirmAllNamed(opened, expect, NAME_EVERY_HOST);
    return { ...meta, expect };
  });
  cluster.awaitOpen(wait);
  // One may have come at that very moment. What was open before, others may have joined since.
  if (forming) confirmAllNamed(opened, expect, OPENED_WITHOUT);
  confirmMembers(opened, expect);
}
