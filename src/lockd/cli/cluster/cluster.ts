import type { CommandGroup } from "../../../chassis/cli/command_group.ts";
import { clusterFenceCommand } from "./fence.ts";
import { clusterHostsCommand } from "./hosts.ts";
import { clusterLeaveCommand } from "./leave.ts";
import { clusterLocksCommand } from "./locks.ts";
import { clusterOpenCommand } from "./open.ts";
import { clusterRecoverCommand } from "./recover.ts";
import { clusterReleaseCommand } from "./release.ts";
import { clusterRemoveCommand } from "./remove.ts";
import { clusterStatusCommand } from "./status.ts";

/**
 * `virtlockd cluster ...`: commands about all hosts. They ask etcd and not the daemon, so they work where the
 * daemon does not, and on machines that are no member.
 */
export const clusterCommands: CommandGroup = {
  name: "cluster",
  purpose: "Shows and changes what all hosts of the cluster have in common, in etcd.",
  commands: [
    clusterStatusCommand,
    clusterHostsCommand,
    clusterLocksCommand,
    clusterOpenCommand,
    clusterRecoverCommand,
    clusterFenceCommand,
    clusterLeaveCommand,
    clusterReleaseCommand,
    clusterRemoveCommand,
  ],
};
