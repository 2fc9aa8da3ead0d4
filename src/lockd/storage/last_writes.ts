import { F_UNLCK, F_WRLCK, O_CLOEXEC, O_NOCTTY, O_NONBLOCK, O_RDONLY } from "../../os/constants.ts";
import { EACCES, ENOENT, ENOMEDIUM, ENXIO, EPERM, strerror } from "../../os/errno.ts";
import type { EventSys, FileSys } from "../../os/sys.ts";
import type { FileIdentity } from "../lockspace/file_identity.ts";
import { LOCK_START } from "../lockspace/lock_file.ts";
import { descriptorInfo } from "../../os/descriptor_info.ts";
import { locksIn } from "../../os/shown_lock.ts";
import type { Verdict } from "../lockspace/settler.ts";
import { WRITE_GUARD } from "../lockspace/written_files.ts";
import { isReachedByOthers } from "./block_device.ts";
import { findGuardKeeper } from "./guard_keeper.ts";
import { findOpener, type Keeper } from "./holder_scan.ts";
import { findStrayGuard } from "./stray_guard.ts";

// What a helper process does to find out whether the last writes of an owner that is gone have landed. All of
// it may block.

type WitnessSys =
  & Pick<
    FileSys,
    | "open"
    | "close"
    | "read"
    | "pread"
    | "stat"
    | "fstat"
    | "readlink"
    | "listDirectory"
    | "ofdProbe"
    | "fsync"
  >
  & Pick<EventSys, "monotonic">;

const OVER: Verdict = { kind: "over" };
/** A reason, as `locks` and the log show it. */
export const UNDER_WAY = "its last writes have not landed yet";
/** So is this: on a host that is too busy for the look nothing tells that they have. */
const LATE = "its last writes may not have landed yet, and not all processes could be looked at in time";

/**
 * How the writes of a QEMU are judged: by the lock of its own that it has on every image which it may write.
 */
export interface GuardQuestion {
  /** `major:minor:inode` of images, as the kernel names them in /proc/locks. */
  readonly names: readonly string[];
  /** Whether what the page cache still has must reach the medium, because another host can read it there. */
  readonly sync: boolean;
  /**
   * Why images may be missing that it wrote: then nothing may be written to any image for a process that is
   * gone.
   */
  readonly others?: string;
  /** Set when the page cache must be brought to the medium of every block device that other hosts reach. */
  readonly devices?: boolean;
  /**
   * Processes of other guests, which have opened what they write themselves. A helper of an earlier version
   * does not know that, and takes them for strangers.
   */
  readonly guests?: readonly number[];
}

/**
 * Judges by QEMU's own locks. A lock that no living process has is kept by a write that is still under way.
 *
 * @param fd descriptor of the image itself, if there is one
 */
export function judgeGuards(
  sys: WitnessSys,
  { names, sync, others, devices = false, guests = [] }: GuardQuestion,
  fd: number | undefined,
): Verdict {
  const own = fd === undefined
    ? []
    : locksIn(descriptorInfo(sys, "self", fd) ?? "", LOCK_START).map(({ file }) => file);
  const keeper = findGuardKeeper(sys, new Set([...names, ...own]), new Set(guests));
  if (keeper.kind !== "none" && keeper.kind !== "guests") return kept(keeper, "writes it too");
  if (others !== undefined) {
    const stray = findStrayGuard(sys);
    if (stray !== "none") return strayVerdict(stray, others);
  }
  if (devices) {
    const verdict = syncDevices(sys);
    if (verdict.kind !== "over") return verdict;
  }
  if (fd === undefined) return OVER;
  if (keeper.kind === "guests") return sync ? synced(sys.fsync(fd)) : OVER;
  const probe = { type: F_UNLCK, pid: 0 };
  const probed = sys.ofdProbe(fd, F_WRLCK, WRITE_GUARD, 1, probe);
  if (probed < 0) return unknown(`the lock of its writer cannot be asked for: ${strerror(-probed)}`);
  // The server of a network file system keeps it, for a write of this host or for a writer on another one.
  if (probe.type !== F_UNLCK) return unknown("its storage says that somebody still writes it");
  return sync ? synced(sys.fsync(fd)) : OVER;
}

function strayVerdict(stray: "some" | "hidden" | "late", why: string): Verdict {
  switch (stray) {
    case "some":
      return {
        kind: "busy",
        reason: `${why}, and last writes of a guest that has ended are still under way`,
      };
    case "late":
      return { kind: "busy", reason: `${why}, and not all who write could be looked at in time` };
    case "hidden":
      return unknown(`${why}, and not all who write can be seen from here`);
  }
}

/** Brings to the medium what the page cache still has of any block device that other hosts may reach. */
function syncDevices(sys: WitnessSys): Verdict {
  const numbers = sys.listDirectory("/sys/dev/block");
  if (typeof numbers === "number") return unknown(`its devices cannot be listed: ${strerror(-numbers)}`);
  for (const each of numbers) {
    const [major = 0, minor = 0] = each.split(":").map(Number);
    if (!isReachedByOthers(sys, major, minor)) continue;
    const place = sys.readlink(`/sys/dev/block/${each}`);
    // It has been taken away meanwhile.
    if (typeof place === "number") continue;
    // A slash in a device's name is an exclamation mark there.
    const node = `/dev/${place.slice(place.lastIndexOf("/") + 1).replaceAll("!", "/")}`;
    const fd = sys.open(node, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
    // EPERM is a container's: its guests may not open the device either.
    if (fd === -ENOENT || fd === -ENXIO || fd === -ENOMEDIUM || fd === -EPERM) continue;
    if (fd < 0) {
      return unknown(`${node} cannot be opened to bring last writes to the medium: ${strerror(-fd)}`);
    }
    const result = sys.fsync(fd);
    sys.close(fd);
    if (result < 0) return synced(result);
  }
  return OVER;
}

/** Judges by who has the file open: to be asked when the kernel says that somebody has. */
export function judgeOpeners(sys: WitnessSys, identity: FileIdentity): Verdict {
  return kept(findOpener(sys, identity), "has it open");
}

/** What came of {@link syncFile}. */
export interface Synced {
  readonly verdict: Verdict;
  /** Whether the file may not be opened by this user. */
  readonly denied: boolean;
}

/** Brings to the medium what the page cache still has of a file. */
export function syncFile(sys: WitnessSys, path: string): Synced {
  const fd = sys.open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
  // It was removed, or is only there in the guest's own mount namespace: no other host can read it under this
  // name.
  if (fd === -ENOENT) return { verdict: OVER, denied: false };
  if (fd < 0) {
    const why = `${path} cannot be opened to bring its last writes to the medium: ${strerror(-fd)}`;
    return { verdict: unknown(why), denied: fd === -EACCES || fd === -EPERM };
  }
  const result = sys.fsync(fd);
  sys.close(fd);
  return { verdict: synced(result), denied: false };
}

function kept(keeper: Keeper, does: string): Verdict {
  switch (keeper.kind) {
    case "nobody":
      return { kind: "busy", reason: UNDER_WAY };
    case "process":
      return { ...unknown(`process ${keeper.pid} (${keeper.command}) ${does}`), opener: "seen" };
    case "hidden":
      return { ...unknown("somebody has it open who cannot be seen from here"), opener: "seen" };
    case "late":
      return { kind: "busy", reason: LATE };
  }
}

function synced(result: number): Verdict {
  return result < 0
    ? unknown(`its last writes could not be brought to the medium: ${strerror(-result)}`)
    : OVER;
}

function unknown(reason: string): Verdict & { kind: "unknown" } {
  return { kind: "unknown", reason };
}
