import { type MountLine, parseMountinfo } from "../../../os/mountinfo.ts";
import type { Host } from "../guests/host.ts";

/** A mounted file system. */
export type Mount = Pick<MountLine, "point" | "type" | "source" | "options">;

/** The mounted file systems (proc_pid_mountinfo), later ones covering earlier ones. */
export function readMounts(host: Host): Mount[] {
  return parseMountinfo(host.read("/proc/self/mountinfo") ?? "").map(({ point, type, source, options }) => {
    return { point, type, source, options };
  });
}

/** The file system that a path is on. */
export function mountOf(mounts: readonly Mount[], path: string): Mount | undefined {
  let found: Mount | undefined;
  for (const mount of mounts) {
    const covers = mount.point === "/" || path === mount.point || path.startsWith(`${mount.point}/`);
    if (covers && mount.point.length >= (found?.point.length ?? 0)) found = mount;
  }
  return found;
}

/** How far locks on a file system reach. */
export type LockReach =
  /** Every host that uses it, as far as its type and options tell. */
  | { readonly kind: "everywhere" }
  /** This host alone, though others may use the storage. */
  | { readonly kind: "here"; readonly why: string; readonly advice: string }
  /** It depends on what is at the other end. */
  | { readonly kind: "unknown"; readonly why: string };

/** File systems on a network that pass locks on to all hosts. */
const PASSED_ON: readonly string[] = [
  "nfs",
  "nfs4",
  "cifs",
  "smb3",
  "ceph",
  "gfs2",
  "gpfs",
  "ocfs2",
  "lustre",
];
/** The same as programs (FUSE). */
const PASSED_ON_BY_PROGRAM: readonly string[] = ["fuse.ceph", "fuse.ceph-fuse", "fuse.glusterfs"];
const ELSEWHERE = "Put what several hosts lock on a file system that passes locks on, e.g. NFS";

/**
 * Options with which a file system keeps locks to this host (nfs(5), mount.cifs(8), and those of the
 * clusters).
 */
const KEPT_BY_OPTION: readonly (readonly [type: RegExp, option: string])[] = [
  [/^nfs/, "nolock"],
  [/^nfs/, "local_lock=all"],
  [/^nfs/, "local_lock=posix"],
  [/^(?:cifs|smb3)$/, "nobrl"],
  [/^(?:gfs2|ocfs2)$/, "localflocks"],
  [/^lustre$/, "localflock"],
];

/** How far locks on a mount reach; undefined for storage that is not shared over a network. */
export function lockReach({ type, options }: Mount): LockReach | undefined {
  const kept = KEPT_BY_OPTION.find(([types, option]) => types.test(type) && options.includes(option));
  if (kept !== undefined) {
    return {
      kind: "here",
      why: `with the option ${kept[1]}`,
      advice: `Mount it without ${kept[1]}, while no guest uses it`,
    };
  }
  if (PASSED_ON.includes(type) || PASSED_ON_BY_PROGRAM.includes(type)) return { kind: "everywhere" };
  if (type === "fuse.sshfs") {
    return { kind: "here", why: "with sshfs, which has no locks", advice: ELSEWHERE };
  }
  if (type === "9p") return { kind: "unknown", why: "9p, whose servers mostly keep them to this host" };
  if (type === "virtiofs") {
    return { kind: "unknown", why: "virtiofs, whose server passes them on only when it is told to" };
  }
  if (type.startsWith("fuse.")) return { kind: "unknown", why: `${type}, whose program decides` };
  return undefined;
}
