import { type Command, CommandError, CommandExit } from "../../../chassis/cli/command.ts";
import { ClosedCluster, EXPECT_OPTIONS, hostsOf, waitOf } from "./closed_cluster.ts";
import { CLUSTER_OPTIONS } from "./cluster_settings.ts";
import { withCluster } from "./opened_cluster.ts";

/** `virtlockd cluster open`: says which hosts a new cluster has. */
export const clusterOpenCommand: Command = {
  name: "cluster open",
  purpose:
    "Says which hosts a new cluster has, and waits until it is open: each of them joins and puts in the locks " +
    "that it has already, and nothing new is locked before.",
  options: [...EXPECT_OPTIONS, ...CLUSTER_OPTIONS],
  run(context, args) {
    const expect = hostsOf(args, "expect");
    const wait = waitOf(args);
    withCluster(context, args, (opened) => {
      const cluster = new ClosedCluster(opened);
      cluster.awaitHost(wait);
      cluster.change((meta) => {
        if (meta.phase === "recovering") {
          throw new CommandError(
            CommandExit.PROBLEM,
            `The cluster is no new one, it has to be recovered (${meta.why}): 'virtlockd cluster recover --help'`,
          );
        }
        return meta.phase === "open" ? undefined : { ...meta, expect };
      });
      cluster.awaitOpen(wait);
    });
    context.out.write("The cluster is open.\n");
    return CommandExit.OK;
  },
};
