import { BOOT_ID, bootId } from "../../os/host_facts.ts";
import { ENOENT } from "../../os/errno.ts";
import { readSmallFile } from "../../os/read_file.ts";
import type { LockFiles } from "../lockspace/lock_files.ts";
import { BlockDevices } from "./keys/block_devices.ts";
import type { Cluster, ClusterParts } from "./cluster_parts.ts";
import type { ClusterStatus } from "./cluster_status.ts";
import type { FencingWishes } from "./fencing/fencing_wishes.ts";
import { daemonMark } from "./host/daemon_mark.ts";
import type { DaemonMark } from "./keys/host_record.ts";
import { settingsOf } from "./host/endpoints.ts";
import { Member } from "./member.ts";
import { type Membership, MembershipError, MembershipFile } from "./host/membership_file.ts";
import { ClusterNames, type ClusterSpace, twiceNamed } from "./keys/names.ts";
import { refusingFiles } from "./locks/refusing_files.ts";

/** Names of what a cluster has beside the daemon's sockets. */
export const LINK_SOCKET = "virtlockd-cluster-sock";
/** See {@link ClusterParts.fenceSocket}. */
export const FENCE_SOCKET = "virtlockd-fence-sock";
/** See {@link ClusterParts.membershipFile}. */
export const MEMBERSHIP_FILE = "virtlockd-cluster.json";

const MACHINE_ID = "/etc/machine-id";
/** What else to do where a member's settings say another thing than it has joined with. */
const LEAVE_FIRST = "or have the host leave first with 'virtlockd cluster leave HOST' on another host";

/** What may be the cluster's, on a host that cannot be a member: it is not locked for this host alone. */
interface Theirs {
  /** undefined: any file. */
  readonly spaces: readonly ClusterSpace[] | undefined;
  readonly devices: boolean;
}

/** Nobody knows what is the cluster's. */
const ALL: Theirs = { spaces: undefined, devices: true };

/**
 * This host in a cluster, as the configuration or the last daemon says.
 *
 * @returns undefined for a host that is in none
 */
export function clusterOf(parts: ClusterParts): Cluster | undefined {
  const { sys, settings, membershipFile } = parts;
  const { clusterMistake: mistake, clusterEndpoints, clusterName, clusterLockspaces, clusterDevices } =
    settings;
  const named = mistake !== undefined || clusterEndpoints.length > 0 || clusterLockspaces.size > 0 ||
    clusterDevices;
  if (!named && sys.access(membershipFile, 0) === -ENOENT) return undefined;
  const boot = bootId(sys);
  const file = new MembershipFile(sys, membershipFile);
  const daemon = daemonMark(sys, membershipFile.slice(0, membershipFile.lastIndexOf("/")));
  const spaces = [...clusterLockspaces].map(([name, directory]) => ({ name, directory }));
  const before = boot === ""
    ? `the kernel does not tell its boot's id (${BOOT_ID})`
    : loaded(file, boot, daemon.place);
  // Nobody knows which directories that has named.
  if (typeof before === "string") return brokenCluster(parts, ALL, before);
  // What the host has joined with, and what the configuration names besides.
  const both: Theirs = {
    spaces: [...before?.spaces ?? [], ...spaces],
    devices: clusterDevices || before?.devices === true,
  };
  const broken = (reason: string, theirs = both) => {
    const off = before === undefined
      ? undefined
      : switchedOff(parts, { file, daemon, before, theirs }, reason);
    return off ?? brokenCluster(parts, theirs, reason);
  };
  if (mistake !== undefined) {
    // The mistake may be in what names the directories, or the devices.
    return broken(mistake, before === undefined || spaces.length === 0 ? ALL : { ...both, devices: true });
  }
  if (clusterEndpoints.length === 0) {
    if (before === undefined && spaces.length === 0 && !clusterDevices) return undefined;
    const reason = before === undefined
      ? "cluster_lockspaces or cluster_devices is set and cluster_endpoints is not"
      : `this host is a member of cluster ${before.cluster} since it was started, and virtlockd.conf names no ` +
        "cluster_endpoints: set them again, or have it leave with 'virtlockd cluster leave HOST' on another host";
    return broken(reason);
  }
  if (before !== undefined && before.cluster !== clusterName) {
    const reason =
      `this host is a member of cluster ${before.cluster} since it was started, and cluster_name is ` +
      `${clusterName}: set it back, ${LEAVE_FIRST}`;
    return broken(reason);
  }
  const dropped = before === undefined ? undefined : droppedFrom(before, spaces, clusterDevices);
  if (dropped !== undefined) {
    return broken(
      `${dropped} is the cluster's since this host joined it, and virtlockd.conf does not say so any more: set it ` +
        `again, ${LEAVE_FIRST}`,
    );
  }
  const twice = twiceNamed(spaces, parts.locationOf);
  if (twice !== undefined) return broken(twice);
  const host = settings.clusterHostId ?? readSmallFile(sys, MACHINE_ID)?.trim() ?? "";
  if (host === "") return broken(`${MACHINE_ID} has no id: set cluster_host_id`);
  const renamed = renamedFrom(before, host);
  if (renamed !== undefined) return broken(renamed);
  return new Member(parts, {
    file,
    boot,
    daemon,
    host,
    spaces,
    devices: clusterDevices,
    note: before,
  });
}

/**
 * Why a host that has joined with another id is no member: with the new one it could neither write its
 * session nor object to being fenced, while its guests run. Undefined: it is what it was, or has not joined.
 */
function renamedFrom(before: Membership | undefined, host: string): string | undefined {
  const joined = before?.seen === undefined ? undefined : before.reach?.host;
  if (joined === undefined || joined === host) return undefined;
  return `this host is a member of cluster ${before?.cluster} as ${joined} since it was started, and its id is ` +
    `${host} now (cluster_host_id, else ${MACHINE_ID}): set it back, ${LEAVE_FIRST}`;
}

/** What the last daemon has kept; why that cannot be told. */
function loaded(file: MembershipFile, boot: string, place: string): Membership | string | undefined {
  try {
    return file.load(boot, place);
  } catch (error) {
    if (!(error instanceof MembershipError)) throw error;
    return `it may be one, but what the last daemon has kept of that cannot be told: ${error.message}. ` +
      membershipAdvice(error, file.path);
  }
}

/**
 * What a person does about a note of this host's membership that is of no use.
 *
 * @param path where it is kept
 */
export function membershipAdvice({ fault }: MembershipError, path: string): string {
  switch (fault) {
    case "unread":
      return `When no guest that runs here has a lock of the cluster's, remove ${path} and run 'virtlockd reload'`;
    case "absent":
      return "Nothing keeps the next daemon from going on with it: 'virtlockd reload', then 'virtlockd cluster join'";
    case "unwritten":
      return "Mend that, and say the same again";
  }
}

/**
 * What this host has locked for the cluster and would lock for itself alone from now on; undefined: nothing.
 * Before it has joined nothing counts yet.
 */
function droppedFrom(
  { seen, spaces: joined, devices }: Membership,
  spaces: readonly ClusterSpace[],
  clusterDevices: boolean,
): string | undefined {
  if (seen === undefined) return undefined;
  if (devices === true && !clusterDevices) return "cluster_devices = 1";
  const gone = joined.find(({ name, directory }) =>
    !spaces.some((space) => space.name === name && space.directory === directory)
  );
  return gone === undefined ? undefined : `'${gone.name}=${gone.directory}' in cluster_lockspaces`;
}

/**
 * This host as a member that locks nothing new, because its configuration does not say any more that it is
 * one: what it has is given back in etcd, and it can be made to leave. What has to be known for that the
 * daemon before has kept.
 *
 * @returns undefined where that has not kept enough
 */
function switchedOff(
  parts: ClusterParts,
  { file, daemon, before, theirs }: {
    readonly file: MembershipFile;
    readonly daemon: DaemonMark;
    readonly before: Membership;
    readonly theirs: Theirs;
  },
  reason: string,
): Cluster | undefined {
  const settings = settingsOf(before);
  if (settings?.clusterHostId === undefined) return undefined;
  const { boot, spaces, devices = false } = before;
  const member = new Member({ ...parts, settings }, {
    file,
    boot,
    daemon,
    host: settings.clusterHostId,
    spaces,
    devices,
    note: before,
    parting: true,
  });
  let wishes: FencingWishes | undefined;
  return {
    files: refusing(parts, member.files, theirs, () => {
      // One that has left meanwhile need not be told to leave.
      const { status } = member;
      return status.state === "lost" && status.reason !== undefined
        ? `this host is no member of its cluster any more: ${status.reason}`
        : cannotBe(reason);
    }),
    get status(): ClusterStatus {
      const { status } = member;
      return status.state === "lost" ? status : { ...status, state: "broken", reason };
    },
    others: member.others,
    covers: (path) => member.covers(path),
    reachOf: (path) => member.reachOf(path),
    get fencingWishes() {
      return wishes;
    },
    get tries() {
      return member.tries;
    },
    resumeFencing: (before) => void (wishes = before),
    begin: () => {
      parts.observer.clusterTroubled(reason);
      member.begin();
    },
    found: (resource, fd, identity) => member.found(resource, fd, identity),
    refreshFencing: () => {},
    retire: (done) => member.retire(done),
    close: () => member.close(),
  };
}

/** Whether a file is below one of the directories. */
function isBelow({ locationOf }: ClusterParts, { spaces }: Theirs): (path: string) => boolean {
  const names = spaces === undefined ? undefined : new ClusterNames(spaces, locationOf);
  return (path) => names === undefined || names.find(path) !== undefined;
}

/** File operations that lock nothing of what may be the cluster's. */
function refusing(parts: ClusterParts, files: LockFiles, theirs: Theirs, reason: () => string): LockFiles {
  const { sys, mayHang } = parts;
  const devices = new BlockDevices(sys);
  // One of which the kernel cannot tell it now may be a device that other hosts have too.
  const isDevice = (fd: number) => (devices.of(fd)?.kind ?? "local") !== "local";
  return refusingFiles(
    files,
    parts.files,
    isBelow(parts, theirs),
    (path, { fd, identity }) => theirs.devices && !mayHang(path, identity) && isDevice(fd),
    reason,
  );
}

function cannotBe(reason: string): string {
  return `this host cannot be a member of its cluster: ${reason}`;
}

function brokenCluster(parts: ClusterParts, theirs: Theirs, reason: string): Cluster {
  const { files, settings, observer } = parts;
  const covers = isBelow(parts, theirs);
  let wishes: FencingWishes | undefined;
  return {
    files: refusing(parts, files, theirs, () => cannotBe(reason)),
    get status(): ClusterStatus {
      return {
        name: settings.clusterName,
        host: "",
        session: "",
        state: "broken",
        reason,
        locks: 0,
        local: [...parts.resources()].filter(({ path }) => !covers(path)).length,
        lost: 0,
        parked: 0,
        left: 0,
        releasing: 0,
        unknown: 0,
      };
    },
    others: undefined,
    covers,
    reachOf: (path) => covers(path) ? "pending" : "local",
    get fencingWishes() {
      return wishes;
    },
    tries: parts.tries,
    // Whoever mends the configuration does not ask once more.
    resumeFencing: (before) => void (wishes = before),
    begin: () => observer.clusterLost(reason),
    found: () => {},
    refreshFencing: () => {},
    retire: (done) => done(),
    close: () => {},
  };
}
