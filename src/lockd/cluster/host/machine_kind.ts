import { ENOENT } from "../../../os/errno.ts";
import { isInitialNamespace } from "../../../os/pid_namespace.ts";
import { readSmallFile, readStart } from "../../../os/read_file.ts";
import type { FileSys } from "../../../os/sys.ts";

/** What a daemon runs on: whether another start of its kernel is the end of all that it has begun. */
export type MachineKind =
  | { readonly kind: "metal" }
  /** `by` is what tells so. */
  | { readonly kind: "virtual" | "container"; readonly by: string };

export type KindSys = Pick<FileSys, "open" | "read" | "close" | "readlink" | "access">;

/** What container managers leave for those inside, of such as may share the host's pids too. */
const CONTAINER_MARKS = [
  "/run/systemd/container",
  "/run/host/container-manager",
  "/run/.containerenv",
  "/.dockerenv",
];

const CPUS = "/proc/cpuinfo";
const DMI = "/sys/class/dmi/id";
const NAMES = ["sys_vendor", "product_name", "board_vendor", "bios_vendor"];
/** How names begin that hypervisors give to their machines in the firmware's tables. */
const HYPERVISORS = [
  "QEMU",
  "KVM",
  "OpenStack",
  "KubeVirt",
  "Amazon EC2",
  "VMware",
  "VMW",
  "innotek GmbH",
  "VirtualBox",
  "Xen",
  "Bochs",
  "Parallels",
  "BHYVE",
  "Hyper-V",
  "Virtual Machine",
  "Apple Virtualization",
  "Google Compute Engine",
  "Alibaba Cloud",
];

/** The firmware's table of type 0, and its byte and bit that say "a virtual machine" (SMBIOS, 7.1.2.2). */
const FIRMWARE_TABLE = "/sys/firmware/dmi/entries/0-0/raw";
const EXTENSION_BYTE = 0x13;
const VIRTUAL_BIT = 0x10;

/**
 * What this process runs on. What cannot be told to be no container counts as one, and what cannot be told to
 * be no virtual machine likewise; a hypervisor that hides from all of this is taken for metal.
 */
export function machineKind(sys: KindSys): MachineKind {
  const container = containerMark(sys);
  if (container !== undefined) return { kind: "container", by: container };
  const hypervisor = hypervisorMark(sys);
  return hypervisor === undefined ? { kind: "metal" } : { kind: "virtual", by: hypervisor };
}

function containerMark(sys: KindSys): string | undefined {
  if (!isInitialNamespace(sys)) return "it has pids of its own";
  return CONTAINER_MARKS.find((path) => sys.access(path, 0) !== -ENOENT);
}

function hypervisorMark(sys: KindSys): string | undefined {
  // Of the first CPU, which is at the beginning of the file.
  const cpu = readSmallFile(sys, CPUS);
  if (cpu === undefined) return `${CPUS} cannot be read`;
  if (/^flags\s*:.*\bhypervisor\b/m.test(cpu)) return "the CPU's flag 'hypervisor'";
  for (const file of ["/sys/hypervisor/type", "/proc/device-tree/hypervisor/compatible"]) {
    if (sys.access(file, 0) !== -ENOENT) return file;
  }
  // Not every firmware has it.
  const read = readStart(sys, FIRMWARE_TABLE);
  if (typeof read === "number" && read !== -ENOENT) return `${FIRMWARE_TABLE} cannot be read`;
  const table = typeof read === "number" ? "" : read;
  if (((table.charCodeAt(EXTENSION_BYTE) || 0) & VIRTUAL_BIT) !== 0) return "the firmware says so";
  for (const name of NAMES) {
    const read = readStart(sys, `${DMI}/${name}`);
    if (typeof read === "number" && read !== -ENOENT) return `${DMI}/${name} cannot be read`;
    const text = typeof read === "number" ? "" : read.trim();
    if (HYPERVISORS.some((hypervisor) => text.startsWith(hypervisor))) return text;
  }
  return undefined;
}
