import { shellOperand, shellQuoted } from "../../../base/shell_quoted.ts";
import { counted } from "../../../chassis/log/counted.ts";
import type { RebootStatus } from "../../cluster/reboot/earlier_starts.ts";
import { membersText, SAFE_VERSIONS } from "../../cluster/etcd/etcd_members.ts";
import type { FencingHost, FencingStatus } from "../../cluster/fencing/host_fencing.ts";
import type { Host } from "../guests/host.ts";
import { standingOf } from "../shown/standing.ts";
import { type Check, type Finding, problem, warning } from "./check.ts";

/** Whether the host is a member of its cluster. */
export const cluster: Check = {
  name: "cluster",
  run({ daemon, host }) {
    const section = daemon.kind === "answers" ? daemon.status.sections.cluster : undefined;
    if (section === undefined) return [];
    const { name, unknown } = section;
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
    const found = [...faulty, ...ofFencing(section.fencing, host), ...ofReboot(section.reboot), ...lost];
    const standing = standingOf(section);
    return standing === undefined ? found : [...found, problem(standing.found, standing.advice)];
  },
};

/** What the host had before it was started again, and does not free by itself. */
function ofReboot(reboot: RebootStatus | undefined): readonly Finding[] {
  return reboot?.kept.map(({ session, boot, locks, reason }) =>
    warning(
      `An earlier start of this host (boot ${boot}) has ${
        counted(locks, "lock")
      } in etcd, which stay: ${reason}`,
      `When its guests are certainly gone, free them: virtlockd cluster fence ${shellQuoted(session)}`,
    )
  ) ?? [];
}

/** What is wrong with fencing hosts by a program. */
function ofFencing(fencing: FencingStatus | undefined, host: Host): readonly Finding[] {
  if (fencing === undefined) return [];
  const { command, hosts } = fencing;
  // The daemon has looked when it was configured.
  const fault = host.unfitForFencing(command) ?? fencing.fault;
  const { fenceSocket } = host.places;
  const isListened = host.kind(fenceSocket) !== undefined && !host.isAbandoned(fenceSocket);
  return [
    ...isListened ? [] : [
      problem(
        `cluster_fence_command is not run: nobody listens at ${fenceSocket}`,
        "systemctl start virtlockd-fence.socket: it is in the package deno-virtlockd-cluster",
      ),
    ],
    ...fault === undefined ? [] : [
      problem(
        `cluster_fence_command cannot be run: ${fault}`,
        "Mend it and send SIGHUP. Until then only 'virtlockd cluster fence HOST' frees the locks of dead hosts",
      ),
    ],
    ...hosts.flatMap((each) => ofHost(command, each)),
  ];
}

function ofHost(command: string, { host, state, failures, reason }: FencingHost): readonly Finding[] {
  if (reason === undefined) return [];
  const advice = `Make sure that it is off and stays off; then free its locks: virtlockd cluster fence ${
    shellOperand(host)
  }`;
  if (state === "waiting") return [warning(`Host '${host}' is not fenced yet: ${reason}`, advice)];
  return [
    problem(
      `Host '${host}' is not fenced, and its locks stay: ${reason}. That was try ${failures} of ${command}`,
      advice,
    ),
  ];
}
