import { EINVAL } from "../../../os/errno.ts";
import { counted } from "../../../chassis/log/counted.ts";
import { LVM_SPACE, SCSI_SPACE } from "../../cluster/keys/device_identity.ts";
import { ClusterNames } from "../../cluster/keys/names.ts";
import type { ClusterSettings } from "../../identity/cluster_settings.ts";
import { MountTree, parseMounts } from "../../storage/mount_tree.ts";
import { locationOf } from "../../storage/placement.ts";
import type { Domain } from "../guests/domain.ts";
import type { Host } from "../guests/host.ts";
import { readGuestsOnce } from "../guests/known_guests.ts";
import { type Check, type Finding, ok, warning } from "./check.ts";
import { readSettings } from "./configuration.ts";
import { type LockspaceKey, readLockdConfig } from "./libvirt_config.ts";
import { lockReach, type Mount, mountOf, readMounts } from "./mounts.ts";

/** Why the cluster does not lock something, and what to do about it. */
const GAPS = {
  network: {
    why: "libvirt locks no such disk",
    advice:
      "Give a guest with disks on the network a <lease> in a directory of cluster_lockspaces, or let their storage see " +
      "to it that there is one writer",
  },
  lease: {
    why: "cluster_lockspaces does not name its directory",
    advice: "name the directories of leases in cluster_lockspaces",
  },
  backing: {
    why: "a backing file, which libvirt never locks",
    advice: "give no guest on any host a backing file as a disk that it may write",
  },
  identity: {
    why: "the kernel knows no name of it that other hosts have too",
    advice: "let other hosts use such a device only with a <lease> in a directory of cluster_lockspaces",
  },
  devices: {
    why: "locked by its path, without cluster_devices",
    advice: "set cluster_devices = 1 on all hosts",
  },
  directory: {
    why: "locked in a directory that cluster_lockspaces does not name",
    advice: "name the directories of qemu-lockd.conf in cluster_lockspaces",
  },
  file: {
    why: "a file, and cluster_lockspaces does not name a file_lockspace_dir",
    advice:
      "where several hosts have these files by the same paths, set file_lockspace_dir in qemu-lockd.conf, and name it " +
      "in cluster_lockspaces",
  },
} as const satisfies Readonly<Record<string, { readonly why: string; readonly advice: string }>>;

type Gap = keyof typeof GAPS;

/** What a guest has that other hosts may use meanwhile. */
interface Uncovered {
  readonly what: string;
  readonly gap: Gap;
}

/** Whether the cluster locks everything that the guests of one of its hosts have. */
export const uncoveredDisks: Check = {
  name: "cluster disks",
  async run({ host }) {
    const settings = await readSettings(host);
    if (settings.clusterEndpoints.length === 0) return [];
    const coverage = new Coverage(host, settings);
    const guests = readGuestsOnce(host);
    const found = guests.flatMap((guest) => inspect(guest, coverage.gapsOf(guest)));
    if (guests.length === 0 || found.length > 0) return found;
    return [ok(`Every disk of ${counted(guests.length, "guest")} is locked for all hosts`)];
  },
};

function inspect({ name }: Domain, gaps: readonly Uncovered[]): Finding[] {
  if (gaps.length === 0) return [];
  const texts = gaps.map(({ what, gap }) => `${what} (${GAPS[gap].why})`);
  const advice = [...new Set(gaps.map(({ gap }) => gap))].map((gap) => GAPS[gap].advice).join("; ");
  return [
    warning(
      `Guest '${name}' has what other hosts may use at the same time: ${texts.join(", ")}`,
      `${advice.charAt(0).toUpperCase()}${advice.slice(1)}`,
    ),
  ];
}

/** Finds what the locks of a host do not tell other hosts. */
class Coverage {
  readonly #host: Host;
  readonly #devices: boolean;
  readonly #names: ClusterNames;
  /** Lock directories of libvirt's. */
  readonly #directories: ReadonlyMap<LockspaceKey, string>;
  readonly #mounts: readonly Mount[];

  constructor(host: Host, { clusterLockspaces, clusterDevices }: ClusterSettings) {
    this.#host = host;
    this.#devices = clusterDevices;
    const tree = new MountTree(parseMounts(host.read("/proc/self/mountinfo") ?? ""));
    const readlink = (path: string) => host.link(path) ?? -EINVAL;
    this.#names = new ClusterNames(
      [...clusterLockspaces].map(([name, directory]) => ({ name, directory })),
      (path) => locationOf({ readlink }, tree, path),
    );
    this.#directories = readLockdConfig(host).directories;
    this.#mounts = readMounts(host);
  }

  /** What the cluster does not lock of a guest. */
  gapsOf({ disks, leases, backing }: Domain): Uncovered[] {
    const isLeased = leases.some(({ directory }) => this.#isNamed(directory));
    return [
      ...disks.flatMap((disk): Uncovered[] => {
        switch (disk.kind) {
          case "path":
            return this.#ofPath(disk.path);
          case "never locked":
            return isLeased ? [] : [{ what: disk.what, gap: "network" }];
          case "unknown volume":
            return [];
        }
      }),
      ...leases.flatMap(({ directory, key }): Uncovered[] =>
        this.#isSeen(directory) ? [] : [{ what: `lease ${directory}/${key}`, gap: "lease" }]
      ),
      ...backing.map((what): Uncovered => ({ what, gap: "backing" })),
    ];
  }

  #isNamed(directory: string): boolean {
    return this.#names.find(`${directory}/a`) !== undefined;
  }

  /** Whether other hosts see a lock in a directory: also where its file system passes locks on. */
  #isSeen(directory: string): boolean {
    return this.#isNamed(directory) || this.#isPassedOn(directory);
  }

  #isPassedOn(path: string): boolean {
    const mount = mountOf(this.#mounts, path);
    return mount !== undefined && lockReach(mount)?.kind === "everywhere";
  }

  /** By the name that libvirt locks it by (docs/protocol.md, What libvirt asks for). */
  #ofPath(path: string): Uncovered[] {
    const isDevice = path.startsWith("/dev/");
    const device = isDevice ? this.#host.device(path) : undefined;
    // Of a device that is not there now nobody knows what it will be.
    if (isDevice && device === undefined) return [];
    const identified = device?.kind === "shared" ? this.#directoryOf(device.name.space) : undefined;
    const directory = identified ?? this.#directories.get("file_lockspace_dir");
    if (directory !== undefined && this.#isSeen(directory)) return [];
    if (identified !== undefined) return [{ what: path, gap: "directory" }];
    if (device === undefined) {
      return directory === undefined && this.#isPassedOn(path) ? [] : [{ what: path, gap: "file" }];
    }
    if (device.kind === "local") return [{ what: path, gap: "identity" }];
    if (directory !== undefined) return [{ what: path, gap: "directory" }];
    return this.#devices ? [] : [{ what: path, gap: "devices" }];
  }

  #directoryOf(space: string): string | undefined {
    switch (space) {
      case SCSI_SPACE:
        return this.#directories.get("scsi_lockspace_dir");
      case LVM_SPACE:
        return this.#directories.get("lvm_lockspace_dir");
      default:
        return undefined;
    }
  }
}
