import type { CommandGroup } from "../../chassis/cli/command_group.ts";
import { clusterFenceCommand } from "./cluster/fence.ts";
import { clusterHostsCommand } from "./cluster/hosts.ts";
import { clusterJoinCommand } from "./cluster_join.ts";
import { clusterLeaveCommand } from "./cluster/leave.ts";
import { clusterLocksCommand } from "./cluster/locks.ts";
import { clusterOpenCommand } from "./cluster/open.ts";
import { clusterRecoverCommand } from "./cluster/recover.ts";
import { clusterReleaseCommand } from "./cluster/release.ts";
import { clusterRemoveCommand } from "./cluster/remove.ts";
import { clusterStatusCommand } from "./cluster/status.ts";

/**
 * `virtlockd cluster ...`: commands about all hosts. They ask etcd and not the daemon, so they work where the
 * daemon does not, and on machines that are no member; but for `join`, which is this host's daemon's to do.
 */
export const clusterCommands: CommandGroup = {
  name: "cluster",
  purpose: "Shows and changes what all hosts of the cluster have in common, in etcd.",
  commands: [
    clusterStatusCommand,
    clusterHostsCommand,
    clusterLocksCommand,
    clusterJoinCommand,
    clusterOpenCommand,
    clusterRecoverCommand,
    clusterFenceCommand,
    clusterLeaveCommand,
    clusterReleaseCommand,
    clusterRemoveCommand,
  ],
};
