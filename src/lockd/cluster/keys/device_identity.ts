import { EINVAL, ENOENT, ENOTDIR, ENXIO } from "../../../os/errno.ts";
import { readStart } from "../../../os/read_file.ts";
import type { FileSys } from "../../../os/sys.ts";
import { SystemError } from "../../../os/system_error.ts";
import { DEVICE_SPACE } from "../../identity/cluster_settings.ts";
import { type ClusterName, encodeName } from "./names.ts";

/** Spaces of what libvirt calls by the same identities where it has lock directories for them. */
export const SCSI_SPACE = "scsi";
/** See {@link SCSI_SPACE}. */
export const LVM_SPACE = "lvm";

/** What a block device is to all hosts. */
export type DeviceIdentity =
  /** Any host that reaches it calls it so. */
  | { readonly kind: "shared"; readonly name: ClusterName }
  /** Nothing tells other hosts which one it is. */
  | { readonly kind: "local"; readonly reason: string }
  /** It may have such a name: the kernel could not be asked just now. */
  | { readonly kind: "untold"; readonly reason: string };

/** Device mapper's name of a logical volume: those of its group and its own, 32 characters each. */
const LVM =
  /^LVM-[A-Za-z0-9]{32}([A-Za-z0-9]{6})([A-Za-z0-9]{4})([A-Za-z0-9]{4})([A-Za-z0-9]{4})([A-Za-z0-9]{4})([A-Za-z0-9]{4})([A-Za-z0-9]{6})$/;
/** A map over several paths, or a partition of one (kpartx(8)). */
const MULTIPATH = /^(?:part(\d+)-)?mpath-(.+)$/;
const NVME = /^(?:eui|uuid|nvme)\./;

/**
 * What the kernel says where a device has no such attribute: the file is not there, or the disk has told
 * nothing that could be in it (`scsi_vpd_lun_id` in the kernel's scsi_lib.c). All else is no answer.
 */
const ABSENT: ReadonlySet<number> = new Set([ENOENT, ENOTDIR, EINVAL, ENXIO]);

type DeviceSys = Pick<FileSys, "open" | "read" | "close">;

/**
 * Finds out what a block device is to all hosts, by what the kernel tells of it in sysfs: no program is run,
 * and no device asked. A disk is called the same by each of its paths, by the multipath map over them, and by
 * libvirt in its `scsi_lockspace_dir` and `lvm_lockspace_dir`. A partition is its disk's, with its number.
 */
export function deviceIdentity(sys: DeviceSys, major: number, minor: number): DeviceIdentity {
  try {
    return identityOf(sys, `/sys/dev/block/${major}:${minor}`);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return { kind: "untold", reason: error.message };
  }
}

/** @param device its directory in sysfs @throws SystemError */
function identityOf(sys: DeviceSys, device: string): DeviceIdentity {
  const partition = attribute(sys, `${device}/partition`);
  const disk = partition === undefined ? device : `${device}/..`;
  const mapped = attribute(sys, `${disk}/dm/uuid`);
  if (mapped !== undefined) return ofMap(mapped, partition);
  const nvme = attribute(sys, `${disk}/wwid`);
  if (nvme !== undefined && NVME.test(nvme)) return shared(DEVICE_SPACE, nvme, partition);
  const scsi = scsiName(attribute(sys, `${disk}/device/wwid`));
  if (scsi !== undefined) return shared(SCSI_SPACE, scsi, partition);
  return { kind: "local", reason: "the kernel knows no name of it that other hosts have too" };
}

function ofMap(uuid: string, partition: string | undefined): DeviceIdentity {
  const volume = LVM.exec(uuid);
  if (volume !== null) return shared(LVM_SPACE, volume.slice(1).join("-"), partition);
  const [, part = partition, wwid] = MULTIPATH.exec(uuid) ?? [];
  if (wwid === undefined) {
    return {
      kind: "local",
      reason: `it is mapped (${uuid}), and such a map has no name that other hosts have too`,
    };
  }
  return NVME.test(wwid) ? shared(DEVICE_SPACE, wwid, part) : shared(SCSI_SPACE, wwid, part);
}

/**
 * The kernel's name of a SCSI disk (page 0x83), as scsi_id(8) and multipath write it, and so libvirt: the
 * kind of name as a digit, and the name with its white space replaced.
 */
function scsiName(wwid: string | undefined): string | undefined {
  const [, kind, name] = /^(naa|eui|t10)\.(.+)$/s.exec(wwid ?? "") ?? [];
  switch (kind) {
    case "naa":
      return `3${name?.toLowerCase()}`;
    case "eui":
      return `2${name?.toLowerCase()}`;
    case "t10":
      return `1${name?.trim().replace(/\s+/g, "_")}`;
    default:
      return undefined;
  }
}

function shared(space: string, name: string, partition: string | undefined): DeviceIdentity {
  return {
    kind: "shared",
    name: { space, name: encodeName(partition === undefined ? name : `${name}-part${partition}`) },
  };
}

/** Undefined when the device has none, or an empty one. @throws SystemError when that is not known */
function attribute(sys: DeviceSys, path: string): string | undefined {
  const read = readStart(sys, path);
  if (typeof read === "number") {
    if (ABSENT.has(-read)) return undefined;
    throw new SystemError("read", path, read);
  }
  const text = read.trim();
  return text === "" ? undefined : text;
}
