import { parseMountinfo } from "../../os/mountinfo.ts";
/** A mounted filesystem, as proc_pid_mountinfo(5) tells it. */
export interface Mount {
  readonly id: number;
  /** Id of the mount that this one is mounted on. */
  readonly parent: number;
  /**
   * {@link deviceKey} of the filesystem; the same as of its files' status, but for subvolumes of btrfs and
   * overlayfs.
   */
  readonly device: number;
  /** Where it is mounted, as this process sees it. */
  readonly point: string;
  /** Path in the filesystem that is seen there. */
  readonly root: string;
  /** E.g. `nfs4` or `fuse.sshfs`. */
  readonly type: string;
  /** Server or device, e.g. `server:/export`. */
  readonly source: string;
  /** Of a FUSE file system that serves nobody else, root included: who has mounted it. */
  readonly onlyFor?: UserIds;
}

/** A user and a group, by the kernel's numbers. */
export interface UserIds {
  readonly uid: number;
  readonly gid: number;
}

/** Filesystems whose storage is another host or a program, which may stop answering for ever. */
const MAY_HANG = new Set([
  "9p",
  "afs",
  "autofs",
  "beegfs",
  "ceph",
  "cifs",
  "coda",
  "fuse",
  "fuseblk",
  "gfs2",
  "glusterfs",
  "gpfs",
  "lustre",
  "ncpfs",
  "nfs",
  "nfs4",
  "ocfs2",
  "orangefs",
  "pvfs2",
  "smb3",
  "smbfs",
  "virtiofs",
]);
/** Here are no disks and no lock directories, but automatic mounts on almost every host with systemd. */
const KERNEL_TREES = ["/proc/", "/sys/", "/dev/"];
/**
 * The parent of mounts whose own parent is not in the list: what holds the root directory may itself be out
 * of sight.
 */
const ABOVE_ROOT = 0;

/** One number for a device. A minor number has 20 bits. */
export function deviceKey(major: number, minor: number): number {
  return major * 0x10_0000 + minor;
}

/** Whether a filesystem of this type may keep locks by itself, until they are released explicitly: FUSE. */
export function typeKeepsLocks(type: string): boolean {
  return type === "fuse" || type === "fuseblk" || type.startsWith("fuse.");
}

/** Whether operations on a filesystem of this type may block for ever. */
export function typeMayHang(type: string): boolean {
  return MAY_HANG.has(type) || type.startsWith("fuse.");
}

/** The mounts in the text of /proc/PID/mountinfo. */
export function parseMounts(text: string): Mount[] {
  return parseMountinfo(text).map(
    ({ id, parent, devMajor, devMinor, root, point, type, source, options }) => {
      const onlyFor = typeKeepsLocks(type) ? mounterOf(options) : undefined;
      const device = deviceKey(devMajor, devMinor);
      return { id, parent, device, point, root, type, source, ...onlyFor === undefined ? {} : { onlyFor } };
    },
  );
}

/** Who alone is served by a FUSE file system with these options. mount.fuse3(8), `allow_other`. */
function mounterOf(options: readonly string[]): UserIds | undefined {
  if (options.includes("allow_other")) return undefined;
  const numberOf = (name: string) => {
    const value = options.find((option) => option.startsWith(`${name}=`))?.slice(name.length + 1);
    return value !== undefined && /^\d+$/.test(value) ? Number(value) : undefined;
  };
  const [uid, gid] = [numberOf("user_id"), numberOf("group_id")];
  return uid === undefined || gid === undefined ? undefined : { uid, gid };
}

/**
 * Mounts by where they are: a mount point is found under the mount it lies on, so that hidden ones are not
 * found.
 */
export class MountTree {
  /** Mounts that may hang, in the kernel's order. */
  readonly mayHang: readonly Mount[];
  /** Id of the mount the root directory is on. */
  readonly root: number;
  readonly #children = new Map<string, Mount>();
  readonly #hanging = new Map<number, Mount>();
  readonly #hangingIds: ReadonlySet<number>;
  readonly #devices: ReadonlySet<number>;
  readonly #byId: ReadonlyMap<number, Mount>;

  constructor(mounts: readonly Mount[]) {
    const ids = new Set(mounts.map((mount) => mount.id));
    for (const mount of mounts) {
      const listed = mount.parent !== mount.id && ids.has(mount.parent);
      this.#children.set(childKey(listed ? mount.parent : ABOVE_ROOT, mount.point), mount);
    }
    this.#byId = new Map(mounts.map((mount) => [mount.id, mount]));
    this.#devices = new Set(mounts.map((mount) => mount.device));
    const root = this.at(ABOVE_ROOT, "/");
    this.root = root?.id ?? ABOVE_ROOT;
    // A host whose root directory hangs is beyond help, and a helper too would come from there.
    this.mayHang = mounts.filter((mount) =>
      typeMayHang(mount.type) && mount.device !== root?.device &&
      !KERNEL_TREES.some((tree) => mount.point.startsWith(tree))
    );
    this.#hangingIds = new Set(this.mayHang.map((mount) => mount.id));
    for (const mount of this.mayHang) {
      // Of several mounts of one filesystem the first stands for all.
      if (!this.#hanging.has(mount.device)) this.#hanging.set(mount.device, mount);
    }
  }

  /**
   * The mount that is entered at `path`, if one is; of several on top of each other the topmost.
   *
   * @param below id of the mount that the directory of `path` is on
   */
  at(below: number, path: string): Mount | undefined {
    let found: Mount | undefined;
    for (;;) {
      const next = this.#children.get(childKey(found?.id ?? below, path));
      if (next === undefined) return found;
      found = next;
    }
  }

  /** Whether operations in this mount may block for ever. */
  hangs(mount: Mount): boolean {
    return this.#hangingIds.has(mount.id);
  }

  /** A mount that may hang by its device. */
  hangingDevice(device: number): Mount | undefined {
    return this.#hanging.get(device);
  }

  /** A mount by its id. */
  byId(id: number): Mount | undefined {
    return this.#byId.get(id);
  }

  /** Every mount, hidden ones too. */
  get all(): readonly Mount[] {
    return [...this.#byId.values()];
  }

  /** Whether any mount has this device. */
  hasDevice(device: number): boolean {
    return this.#devices.has(device);
  }
}

function childKey(parent: number, path: string): string {
  return `${parent} ${path}`;
}
