import { ForeignDaemonError, UnreachableError } from "../../chassis/cli/admin_link.ts";
import { adminSocket, CONNECT_OPTION, JSON_OPTION, jsonText } from "../../chassis/cli/asking.ts";
import { type Command, type CommandContext, CommandError, CommandExit } from "../../chassis/cli/command.ts";
import { plainText } from "../../chassis/log/plain_text.ts";
import { MEMBERSHIP_FILE, membershipAdvice } from "../cluster/cluster.ts";
import type { ClusterStatus } from "../cluster/cluster_status.ts";
import { MembershipError, MembershipFile } from "../cluster/host/membership_file.ts";
import { COPIED, LEFT, SAID_TO_BE_OFF } from "../cluster/session/lost_reasons.ts";
import { VIRTLOCKD } from "../identity/identity.ts";
import type { StatusDocument } from "../status/status_document.ts";
import { AdminConnection } from "./admin_connection.ts";
import { faultInConfiguration } from "./configuration_in_use.ts";
import { reloadDaemon } from "./reload.ts";
import { type Standing, standingOf } from "./shown/standing.ts";
import { readStatus } from "./status.ts";
import { waitOf } from "./cluster/closed_cluster.ts";
import { decodeSession } from "../cluster/keys/session_record.ts";
import { isIdle, keysNotInUse, settingsInUse } from "../identity/cluster_settings_in_use.ts";
import { type ConfiguredCluster, configuredCluster, isNamed } from "./cluster/cluster_settings.ts";
import { openingAdvice } from "./cluster/opening.ts";
import { awaited, heardOf, type HostWatch, type Wait } from "./cluster/awaited_host.ts";
import { withChosen } from "./cluster/opened_cluster.ts";

/**
 * How long a host that is on its way in is waited for when nobody says otherwise, in ms: one that was started
 * anew waits 10 s for what etcd still has of it.
 */
const WAIT_MS = 15_000;

/** How a host stands that was to join: what `cluster join --json` prints, see docs/json.md. */
export interface JoiningHost {
  /** As the daemon says it. "none": it is in no cluster; "unreachable": no daemon can be asked. */
  readonly state: ClusterStatus["state"] | "none" | "unreachable";
  readonly cluster?: string;
  /** Its id. */
  readonly host?: string;
  readonly session?: string;
  /** What is so, in one sentence. */
  readonly found: string;
  /** What to do about it; absent for a member that is well. */
  readonly advice?: string;
  /** Keys of the configuration that a member's daemon has not taken over; absent where there are none. */
  readonly waiting?: readonly string[];
  /** That a person's word has changed nothing, and why; absent where it has, or none was given. */
  readonly unheeded?: string;
}

/** By it a person says that the other one is ended that writes this host's session, with its guests. */
const COPY_ENDED = "copy-ended";
const UNHEEDED =
  `--${COPY_ENDED} has changed nothing: this host's daemon does not say that a copy of it runs`;

/** `virtlockd cluster join`: has this host's daemon join, and says what is in the way. */
export const clusterJoinCommand: Command = {
  name: "cluster join",
  purpose:
    "Has this host join the cluster that its configuration names, and says what is in the way. A daemon " +
    "that joins by itself is waited for; one that has left, or does not know its cluster yet, is reloaded.",
  options: [
    CONNECT_OPTION,
    JSON_OPTION,
    {
      name: "wait",
      value: "SECONDS",
      summary: `how long to wait (default ${WAIT_MS / 1000}; a closed cluster is waited for only with this)`,
    },
    {
      name: COPY_ENDED,
      summary: "the other one that writes this host's session is ended, with its guests: go on with it here",
    },
  ],
  run(context, args) {
    const wait = args.has("wait")
      ? { limitMs: waitOf(args), closed: true }
      : { limitMs: WAIT_MS, closed: false };
    const host = join(context, adminSocket(VIRTLOCKD, context, args), wait, args.has(COPY_ENDED));
    const { found, advice, waiting, unheeded } = host;
    const lines = [
      ...advice === undefined ? [`${found}.`] : [found, `-> ${advice}`],
      ...waiting === undefined ? [] : [waitingText(waiting)],
      ...unheeded === undefined ? [] : [`-> ${unheeded}`],
    ];
    context.out.write(
      args.has("json") ? jsonText(host) : lines.map((line) => `${plainText(line)}\n`).join(""),
    );
    return advice === undefined ? CommandExit.OK : CommandExit.PROBLEM;
  },
};

/**
 * @param socket the daemon's admin socket
 * @param copyEnded what a person says of the other one, where there was one
 */
function join(context: CommandContext, socket: string, wait: Wait, copyEnded: boolean): JoiningHost {
  try {
    const first = statusAt(context, socket);
    const fileFirst = isFileFirst(context, first);
    const before = fileFirst ? first : heardOf(watchOf(context, socket), wait, first);
    const { cluster } = before.sections;
    const goesOn = copyEnded && cluster?.state === "lost" && cluster.reason === COPIED;
    // Whoever has said it would take the session for this host's, and the next daemon may find otherwise.
    const word = copyEnded && !goesOn ? { unheeded: UNHEEDED } : {};
    if (!fileFirst && !goesOn && !isReloadNeeded(cluster)) {
      return { ...settledHost(context, socket, before, wait), ...word };
    }
    const wrong = wrongSettings(context, before);
    if (wrong !== undefined) return { ...named(cluster), ...wrong, ...word };
    if (goesOn) forgetNonces(context, socket);
    reloadDaemon(context, socket, before.pid);
    return { ...settledHost(context, socket, awaited(watchOf(context, socket), wait), wait), ...word };
  } catch (error) {
    if (error instanceof ForeignDaemonError) {
      return { state: "unreachable", found: error.message, advice: HAND_OVER };
    }
    if (error instanceof UnreachableError) {
      return { state: "unreachable", found: error.message, advice: howToReach(error) };
    }
    throw error;
  }
}

/** @throws CommandError */
function forgetNonces({ sys }: CommandContext, socket: string): void {
  const file = new MembershipFile(sys, `${socket.slice(0, socket.lastIndexOf("/"))}/${MEMBERSHIP_FILE}`);
  try {
    file.forgetNonces();
  } catch (error) {
    if (!(error instanceof MembershipError)) throw error;
    throw new CommandError(
      CommandExit.PROBLEM,
      `This host does not go on with its session yet: ${error.message}. ${
        membershipAdvice(error, file.path)
      }`,
      { cause: error },
    );
  }
}

const JOIN_AGAIN = "then 'virtlockd cluster join'";
const HAND_OVER =
  `Only a daemon of this program joins a cluster: install it, say 'virtlockd reload', ${JOIN_AGAIN}`;

function statusAt({ sys }: CommandContext, socket: string): StatusDocument {
  using daemon = AdminConnection.connect(sys, socket);
  return readStatus(daemon);
}

/** Whether a daemon does not come to join by itself, and would if it read its configuration once more. */
function isReloadNeeded(cluster: ClusterStatus | undefined): boolean {
  if (cluster?.state !== "lost") return cluster === undefined || cluster.state === "broken";
  // One of which a copy runs would be lost again: a person has to end the copy first, and to say so.
  return cluster.reason === LEFT || cluster.reason === SAID_TO_BE_OFF;
}

/**
 * Whether the file of a daemon that is no member yet, or whose cluster is closed, has to be seen to first: it
 * says something else by now, or nothing that can be used. A member is left alone: with other directories it
 * would be none any more.
 */
function isFileFirst(context: CommandContext, status: StatusDocument): boolean {
  const { cluster } = status.sections;
  if (cluster?.state !== "joining" && cluster?.state !== "closed") return false;
  return cluster.settings !== undefined &&
    (wrongSettings(context, status) !== undefined || waitingKeys(context, status).length > 0);
}

/** Keys of the cluster's that a daemon has not taken over. @throws CommandError */
function waitingKeys(context: CommandContext, status: StatusDocument): readonly string[] {
  const inUse = status.sections.cluster?.settings;
  return inUse === undefined ? [] : keysNotInUse(inUse, configurationOf(context, status).settings);
}

function waitingText(keys: readonly string[]): string {
  return `-> Changed in virtlockd.conf, and not taken over: ${keys.join(", ")}. 'virtlockd reload' does`;
}

/** Why a reload would not have the host join; undefined when nothing speaks against it. */
function wrongSettings(context: CommandContext, status: StatusDocument): Standing | undefined {
  const fault = faultInConfiguration(context.sys, context.env, status);
  if (fault !== undefined) return { found: fault, advice: `Mend that, ${JOIN_AGAIN}` };
  const configured = configurationOf(context, status);
  const { path } = configured;
  if (isNamed(configured)) {
    return isIdle(settingsInUse(configured.settings)) ? nothingLocked(path) : undefined;
  }
  const { cluster } = status.sections;
  // One that was a member is told what has become of that.
  const was = cluster === undefined ? undefined : standingOf(cluster);
  return {
    found: was?.found ?? `This host is in no cluster: ${path} names none`,
    advice: `Set cluster_endpoints, cluster_name, cluster_lockspaces (or cluster_devices) and, for https, ` +
      `cluster_ca_file, cluster_cert_file and cluster_key_file in ${path}, ${JOIN_AGAIN}: docs/cluster.md`,
  };
}

function nothingLocked(path: string): Standing {
  return {
    found:
      `Nothing would be locked for all hosts: ${path} sets neither cluster_lockspaces nor cluster_devices`,
    advice: `Set what the other hosts have, ${JOIN_AGAIN}: docs/cluster.md`,
  };
}

/** What the file of the daemon says now. The default file need not be there. @throws CommandError */
function configurationOf(context: CommandContext, { configurationFile }: StatusDocument): ConfiguredCluster {
  const isThere = configurationFile !== undefined && context.sys.access(configurationFile, 0) === 0;
  return configuredCluster(context, isThere ? configurationFile : undefined);
}

function watchOf(context: CommandContext, socket: string): HostWatch {
  return {
    look: () => statusAt(context, socket),
    hasLeft: (status, session) => hasLeft(context, status, session),
    sys: context.sys,
  };
}

/** Whether etcd says that a host has left which does not know it yet. */
function hasLeft(context: CommandContext, status: StatusDocument, session: string): boolean {
  const configured = configurationOf(context, status);
  if (!isNamed(configured)) return false;
  try {
    return withChosen(context, configured, ({ questions, keys }) => {
      const [entry] = questions.get(keys.session(session));
      return entry !== undefined && decodeSession(entry).left === true;
    });
  } catch (error) {
    // The daemon reaches etcd, says it: where this command does not, its word stands.
    if (error instanceof CommandError) return false;
    throw error;
  }
}

/** How a host stands that is waited for no more; one whose cluster has just been opened is. */
function settledHost(
  context: CommandContext,
  socket: string,
  status: StatusDocument,
  wait: Wait,
): JoiningHost {
  if (status.sections.cluster?.state !== "closed") return memberHost(context, status);
  const opening = openingOf(context, status);
  if (opening !== undefined || wait.closed) return standingHost(status, opening);
  // The daemon hears in seconds what etcd says already.
  return memberHost(context, awaited(watchOf(context, socket), { ...wait, closed: true }));
}

/** How a host stands; of a member also what of its settings is to be seen to. */
function memberHost(context: CommandContext, status: StatusDocument): JoiningHost {
  const host = standingHost(status, undefined);
  const { cluster } = status.sections;
  const isWrong = faultInConfiguration(context.sys, context.env, status) !== undefined;
  if (cluster?.state !== "live" || isWrong) return host;
  const waiting = waitingKeys(context, status);
  return waiting.length === 0 ? host : { ...host, waiting };
}

/** @param opening how its cluster is opened, where that is known */
function standingHost({ sections: { cluster } }: StatusDocument, opening: string | undefined): JoiningHost {
  if (cluster === undefined) {
    return {
      state: "none",
      found: "This host is in no cluster",
      advice: "Its settings were changed: say this again",
    };
  }
  const standing = standingOf(cluster);
  if (standing === undefined) {
    return {
      ...named(cluster),
      found: `This host is a member of cluster ${cluster.name} (session ${cluster.session})`,
    };
  }
  return { ...named(cluster), ...standing, ...opening === undefined ? {} : { advice: opening } };
}

function named(cluster: ClusterStatus | undefined): Omit<JoiningHost, "found" | "advice"> {
  if (cluster === undefined) return { state: "none" };
  const { state, name, host, session } = cluster;
  return { state, cluster: name, host, session };
}

/** How the cluster is opened; undefined where it is open. */
function openingOf(context: CommandContext, status: StatusDocument): string | undefined {
  try {
    return withChosen(context, configurationOf(context, status), openingAdvice);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return `On one host, with every host that uses the cluster's disks: virtlockd cluster open --expect HOST,... ` +
      `or, where it has to be recovered, virtlockd cluster recover --expect HOST,... (${error.message})`;
  }
}

function howToReach({ obstacle }: UnreachableError): string {
  switch (obstacle) {
    case "absent":
      return `Only the daemon of a host joins, and root has to ask it: on the host that is to, as root, set the ` +
        `cluster_ keys in virtlockd.conf (docs/cluster.md), systemctl start virtlockd.socket virtlockd-admin.socket, ${JOIN_AGAIN}; 'virtlockd doctor' says why none runs`;
    case "denied":
      return "Say it as root, or as the user whose daemon it is";
    case "silent":
    case "closed":
    case "odd":
      return `'virtlockd doctor' says what to do about it; ${JOIN_AGAIN}`;
  }
}
