import { shellOperand, shellQuoted } from "../../../base/shell_quoted.ts";
import { ConfigError } from "../../../chassis/config/config_error.ts";
import { parseConfigFile } from "../../../chassis/config/config_file.ts";
import { loadSettings } from "../../../chassis/config/settings.ts";
import { counted } from "../../../chassis/log/counted.ts";
import type { RebootStatus } from "../../cluster/reboot/earlier_starts.ts";
import { foreignText, membersText, ONE_ETCD, SAFE_VERSIONS } from "../../cluster/etcd/etcd_members.ts";
import type { FencingHost, FencingStatus } from "../../cluster/fencing/host_fencing.ts";
import { FENCE_INSTALL } from "../../cluster/host/services.ts";
import type { ClusterSettings } from "../../identity/cluster_settings.ts";
import { keysNotInUse } from "../../identity/cluster_settings_in_use.ts";
import { LOCK_SETTINGS } from "../../identity/settings.ts";
import type { StatusDocument } from "../../status/status_document.ts";
import type { Host } from "../guests/host.ts";
import { standingOf } from "../shown/standing.ts";
import { type Check, type Finding, problem, warning } from "./check.ts";

/** Whether the host is a member of its cluster. */
export const cluster: Check = {
  name: "cluster",
  run({ daemon, host }) {
    const section = daemon.kind === "answers" ? daemon.status.sections.cluster : undefined;
    const configured = daemon.kind === "answers" ? configuredIn(host, daemon.status) : undefined;
    if (section === undefined) return configured === undefined ? [] : notJoined(configured);
    const { name, unknown, settings } = section;
    const waiting = configured === undefined || settings === undefined
      ? []
      : keysNotInUse(settings, configured);
    const outdated = waiting.length === 0 ? [] : [
      warning(
        `virtlockd.conf has changed, and the daemon has not taken over: ${waiting.join(", ")}`,
        "'virtlockd reload' takes it over, and drops no lock and no client",
      ),
    ];
    const unsafe = (section.etcd ?? []).filter((member) => member.unsafe !== undefined);
    const faulty = unsafe.length === 0 ? [] : [
      problem(
        `The etcd of cluster ${name} is not to be relied upon: ${membersText(unsafe)}`,
        `One after the other, ${SAFE_VERSIONS}: docs/cluster-etcd.md`,
      ),
    ];
    const foreign = foreignText(section.etcd ?? []);
    const mixed = foreign === undefined ? [] : [
      problem(
        `cluster_endpoints of cluster ${name} has members of different etcds: ${foreign}`,
        `${ONE_ETCD}. Until then two hosts may get one lock`,
      ),
    ];
    const lost = unknown === 0 ? [] : [
      warning(
        `etcd has locks of this host for guests of which the daemon knows nothing: ${unknown}`,
        "They go when those guests end, but for shared ones: those stay until 'virtlockd cluster release NAME --force'. " +
          "Shut down and start again guests that should be locked",
      ),
    ];
    const found = [
      ...mixed,
      ...faulty,
      ...ofFencing(section.fencing, host),
      ...ofReboot(section.reboot),
      ...lost,
      ...outdated,
    ];
    const standing = standingOf(section);
    return standing === undefined ? found : [...found, problem(standing.found, standing.advice)];
  },
};

/** What the daemon's file says now; undefined where that cannot be read, which another check says. */
function configuredIn(
  host: Host,
  { configurationFile = host.places.daemonConfig }: Pick<StatusDocument, "configurationFile">,
): ClusterSettings | undefined {
  const text = host.read(configurationFile);
  try {
    return text === undefined
      ? undefined
      : loadSettings(LOCK_SETTINGS, parseConfigFile(text, configurationFile)).settings;
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}

/** Of a daemon in no cluster. */
function notJoined({ clusterEndpoints, clusterName }: ClusterSettings): readonly Finding[] {
  return clusterEndpoints.length === 0 ? [] : [
    problem(
      `virtlockd.conf names cluster ${clusterName}, and the daemon has not taken that over: it locks for this host only`,
      "'virtlockd cluster join' does, and says what is in the way",
    ),
  ];
}

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
        FENCE_INSTALL,
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
