import type { ClusterStatus } from "../../cluster/cluster_status.ts";
import { isIdle } from "../../identity/cluster_settings_in_use.ts";
import { COPIED, LEFT, SAID_TO_BE_OFF } from "../../cluster/session/lost_reasons.ts";

/** What is wrong with a host's membership in its cluster, in one sentence, and what to do about it. */
export interface Standing {
  readonly found: string;
  readonly advice: string;
}

/** How a host stands in its cluster, for people; undefined for a member that is well. */
export function standingOf(
  { name, state, reason, settings }: Pick<ClusterStatus, "name" | "state" | "reason" | "settings">,
): Standing | undefined {
  const why = reason ?? "nothing tells why";
  switch (state) {
    case "live":
      if (reason === undefined) return isIdle(settings) ? idle(name) : undefined;
      return {
        found: `Cluster ${name} does not answer: ${reason}`,
        advice: "See to the link and to etcd: docs/cluster.md",
      };
    case "closed":
      return {
        found: `Nothing new is locked in cluster ${name}: ${why}`,
        advice:
          "Guests that run go on. 'virtlockd cluster join' prints that command with the hosts that are " +
          "known so far",
      };
    case "joining":
      return {
        found: `This host is not a member of cluster ${name} yet: ${reason ?? "it has just begun to join"}`,
        advice:
          "Locks of the cluster's are refused until it is, and none is given back in etcd; guests that run go " +
          "on, and may be shut down. It tries again every second; what is changed in virtlockd.conf counts " +
          "after 'virtlockd reload'",
      };
    case "unsure":
      return {
        found:
          `This host is not certain what cluster ${name} has of it, and locks nothing new there until it is: ${why}`,
        advice:
          "Guests that run go on, and may be shut down; their locks are given back in etcd later. It goes on by " +
          "itself when etcd answers and has room. If it stays so, see to the link and to etcd: docs/cluster.md",
      };
    case "lost":
      return { found: `This host is no member of cluster ${name}: ${why}`, advice: afterLoss(reason) };
    case "broken":
      return {
        found: `Nothing of cluster ${name} is locked on this host as it is configured: ${why}`,
        advice: "Guests that run go on. When that is mended, 'virtlockd cluster join': docs/cluster.md",
      };
  }
}

/** Of a member that locks nothing for other hosts, which is never meant. */
function idle(name: string): Standing {
  return {
    found:
      `This host is a member of cluster ${name}, and locks nothing for other hosts: virtlockd.conf sets ` +
      "neither cluster_lockspaces nor cluster_devices",
    advice:
      "Set them on every host, and 'virtlockd reload' there; then, on one of them, 'virtlockd cluster open " +
      "--expect HOST,... --directories': docs/cluster-etcd.md",
  };
}

/** Where nobody but a person has the host come back, what that person does. */
function afterLoss(reason: string | undefined): string {
  switch (reason) {
    case LEFT:
      return "Nothing of the cluster's is locked here. To come back: 'virtlockd cluster join' on this host. To " +
        "stay out: take the cluster_ keys out of virtlockd.conf, then 'virtlockd reload'";
    case SAID_TO_BE_OFF:
      return "Nothing of the cluster's is locked here. When those guests are gone: 'virtlockd cluster join'";
    case COPIED:
      return "Nothing of the cluster's is locked here, nor by the next daemon. If this one is the copy, end it. Else " +
        "end the other one, with its guests, and only then: 'virtlockd cluster join --copy-ended'";
    default:
      return "Nothing of the cluster's is locked here until that is mended: docs/cluster.md. Then 'virtlockd reload'";
  }
}
