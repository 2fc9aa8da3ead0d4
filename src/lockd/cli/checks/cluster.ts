import { membersText, SAFE_VERSIONS } from "../../cluster/etcd_members.ts";
import { type Check, problem, warning } from "./check.ts";

/** Whether the host is a member of its cluster. */
export const cluster: Check = {
  name: "cluster",
  run({ daemon }) {
    const section = daemon.kind === "answers" ? daemon.status.sections.cluster : undefined;
    if (section === undefined) return [];
    const { name, state, reason = "nothing tells why", unknown } = section;
    const unsafe = (section.etcd ?? []).filter((member) => member.unsafe !== undefined);
    const faulty = unsafe.length === 0 ? [] : [
      problem(
        `The etcd of cluster ${name} is not to be relied upon: ${membersText(unsafe)}`,
        `One after the other, ${SAFE_VERSIONS}: docs/cluster-etcd.md`,
      ),
    ];
    const lost = unknown === 0 ? [] : [
      warning(
        `etcd has locks of this host for guests of which the daemon knows nothing: ${unknown}`,
        "They go when those guests end, but for shared ones: those stay until 'virtlockd cluster release NAME --force'. " +
          "Shut down and start again guests that should be locked",
      ),
    ];
    const found = [...faulty, ...lost];
    switch (state) {
      case "live":
        return section.reason === undefined ? found : [
          ...found,
          problem(
            `Cluster ${name} does not answer: ${reason}`,
            "See to the link and to etcd: docs/cluster.md",
          ),
        ];
      case "closed":
        return [
          ...found,
          problem(
            `Nothing new is locked in cluster ${name}: ${reason}`,
            "Guests that run go on; see docs/cluster.md",
          ),
        ];
      case "joining":
      case "unsure":
        return [
          ...found,
          problem(
            `This host is not a member of cluster ${name} yet: ${reason}`,
            "Locks of the cluster's are refused until it is; guests that run go on",
          ),
        ];
      case "lost":
      case "broken":
        return [
          ...found,
          problem(
            `This host is no member of cluster ${name}: ${reason}`,
            "Nothing of the cluster's is locked until that is mended: docs/cluster.md",
          ),
        ];
    }
  },
};
