import { STATUS } from "../status/document_shapes.ts";
import type { ServerStatus, StatusDocument } from "../status/status_document.ts";
import { StatusProcedure } from "../wire/status_protocol.ts";
import type { ClusterStatus } from "../cluster/cluster_status.ts";
import type { FencingStatus } from "../cluster/fencing/host_fencing.ts";
import type { RebootStatus } from "../cluster/reboot/earlier_starts.ts";
import { membersText } from "../cluster/etcd/etcd_members.ts";
import type { AdminConnection } from "./admin_connection.ts";
import { CONNECT_OPTION, JSON_OPTION, jsonText } from "../../chassis/cli/asking.ts";
import { connect } from "./ask.ts";
import { type Command, CommandExit } from "../../chassis/cli/command.ts";
import { counted } from "../../chassis/log/counted.ts";
import { durationText, pairs, timeText } from "../../chassis/cli/table.ts";

/** `virtlockd status`: how the daemon is doing. */
export const statusCommand: Command = {
  name: "status",
  purpose: "Shows how the running daemon is doing: version, uptime, clients and locks against their limits.",
  options: [CONNECT_OPTION, JSON_OPTION],
  run(context, args) {
    using daemon = connect(context, args);
    const status = readStatus(daemon);
    context.out.write(args.has("json") ? jsonText(status) : statusText(status));
    return CommandExit.OK;
  },
};

/** Asks a daemon how it is doing. */
export function readStatus(daemon: AdminConnection): StatusDocument {
  return daemon.document(StatusProcedure.GET_STATUS, STATUS);
}

/** The status for people. */
export function statusText(status: StatusDocument): string {
  const { locks, descriptors, logging, idleTimeout } = status;
  const { lost = 0 } = locks;
  const doubtful = locks.doubtful - lost;
  const { crashes = 0, restarts = 0, recoveredLocks = 0, lostLocks = 0, countingSinceMs } = status;
  const reExecuted = status.reExecs === 0 ? "" : `, re-executed ${times(status.reExecs)}`;
  const { cluster } = status.sections;
  const odd = [
    ...locks.dying === 0 ? [] : [`${counted(locks.dying, "holder")} being killed`],
    ...locks.settling === 0 ? [] : [`${locks.settling} waiting for the last writes of a guest that is gone`],
    ...doubtful === 0 ? [] : [`${doubtful} doubtful`],
    ...lost === 0 ? [] : [`${lost} LOST, their guests run unprotected`],
    ...locks.posix === 0 ? [] : [`${locks.posix} inherited from libvirt's daemon`],
  ];
  return pairs([
    ["version", status.version],
    ["pid", String(status.pid)],
    ["running since", `${timeText(status.started)} (${durationText(status.uptime)})${reExecuted}`],
    ...crashes + restarts === 0 ? [] : [
      [
        "started again",
        `${times(crashes)} after a crash, ${times(restarts)} after a stop` +
        `${countingSinceMs === undefined ? "" : ` since ${timeText(countingSinceMs)}`}; ` +
        `${counted(recoveredLocks, "lock")} taken over, ${lostLocks} lost`,
      ] as const,
    ],
    ...status.lastReExecFailure === undefined ? [] : [["reload given up", status.lastReExecFailure] as const],
    ["clients", status.servers.map(clientsText).join(", ")],
    [
      "locks",
      `${locks.exclusive} exclusive, ${locks.shared} shared, in ${counted(locks.lockspaces, "lockspace")}, ` +
      `held by ${counted(locks.holders, "process", "processes")}${odd.map((part) => `; ${part}`).join("")}`,
    ],
    ["descriptors", `${descriptors.open} of ${descriptors.limit}`],
    ["idle timeout", idleTimeout === 0 ? "none" : durationText(idleTimeout)],
    ["log level", String(logging.level)],
    ["log filters", logging.filters === "" ? "none" : logging.filters],
    ["log outputs", logging.outputs],
    ...cluster?.etcd === undefined ? [] : [["etcd", membersText(cluster.etcd)] as const],
    // A part that has nothing to say, as storage without a mount that may hang, is left out.
    ...Object.entries(status.sections).filter(([, section]) => Object.keys(section).length > 0).map(
      ([name, section]) => {
        const isCluster = name === "cluster" && cluster !== undefined;
        const texts = isCluster ? clusterTexts(cluster) : fieldTexts(section);
        return [name, texts.join(", ")] as const;
      },
    ),
  ]);
}

function fieldTexts(section: object): readonly string[] {
  return Object.entries(section).map(([field, value]) => `${field} ${value ?? "-"}`);
}

/** What has parts of its own `virtlockd doctor` shows, and this how many there are that matter. */
function clusterTexts(
  { etcd: _, settings: __, fencing, reboot, ...fields }: ClusterStatus,
): readonly string[] {
  return [
    ...fieldTexts(fields),
    ...fencing === undefined ? [] : [`fencing ${fencingText(fencing)}`],
    ...reboot === undefined ? [] : [`reboot ${rebootText(reboot)}`],
  ];
}

function fencingText({ fault, hosts }: FencingStatus): string {
  const failed = hosts.filter(({ state }) => state === "failed").length;
  return counted(hosts.length, "host") + (failed === 0 ? "" : `, ${failed} in vain`) +
    (fault === undefined ? "" : ` (${fault})`);
}

function rebootText({ state, reason, kept }: RebootStatus): string {
  const locks = kept.reduce((sum, start) => sum + start.locks, 0);
  return state + (reason === undefined ? "" : ` (${reason})`) +
    (locks === 0 ? "" : `, ${counted(locks, "lock")} of before kept`);
}

function clientsText({ name, clients, clientsMax }: ServerStatus): string {
  return `${clients} of ${clientsMax} (${name})`;
}

function times(count: number): string {
  return count === 1 ? "once" : `${count} times`;
}
