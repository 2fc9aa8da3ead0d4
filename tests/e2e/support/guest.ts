// Domain XML of guests without an operating system: they start in a third of a second and never touch their
// disks.

/** A disk of a guest. */
export interface GuestDisk {
  path: string;
  format: "raw" | "qcow2";
  /** A file unless said otherwise. */
  type?: "file" | "block";
  /** Of QEMU: which page cache, and how it asks the kernel; libvirt's own choice when not given. */
  cache?: "none";
  io?: "io_uring" | "native" | "threads";
  /** Another guest may have it too: locked shared. */
  shareable?: boolean;
  /** Not locked at all. */
  readonly?: boolean;
}

/** A lease of a guest: the file `directory/lockspace/key`. */
export interface GuestLease {
  directory: string;
  lockspace: string;
  key: string;
}

/** A guest to define. */
export interface Guest {
  name: string;
  uuid: string;
  /** Software emulation unless said otherwise. */
  type?: "qemu" | "kvm";
  disks?: readonly GuestDisk[];
  leases?: readonly GuestLease[];
}

/** The guest as libvirt's XML. */
export function guestXml({ name, uuid, type = "qemu", disks = [], leases = [] }: Guest): string {
  return [
    `<domain type='${type}'><name>${escape(name)}</name><uuid>${uuid}</uuid>`,
    "<memory unit='MiB'>32</memory><vcpu>1</vcpu><os><type arch='x86_64'>hvm</type></os>",
    "<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>",
    ...disks.map(diskXml),
    ...leases.map(leaseXml),
    "</devices></domain>",
  ].join("\n");
}

function diskXml(disk: GuestDisk, index: number): string {
  const target = `vd${String.fromCharCode("a".charCodeAt(0) + index)}`;
  const flags = `${disk.shareable ? "<shareable/>" : ""}${disk.readonly ? "<readonly/>" : ""}`;
  const { type = "file", cache, io } = disk;
  const driver = `${cache === undefined ? "" : ` cache='${cache}'`}${io === undefined ? "" : ` io='${io}'`}`;
  return `<disk type='${type}' device='disk'><driver name='qemu' type='${disk.format}'${driver}/>` +
    `<source ${type === "block" ? "dev" : "file"}='${
      escape(disk.path)
    }'/><target dev='${target}' bus='virtio'/>${flags}</disk>`;
}

function leaseXml({ directory, lockspace, key }: GuestLease): string {
  return `<lease><lockspace>${escape(lockspace)}</lockspace><key>${escape(key)}</key>` +
    `<target path='${escape(directory)}'/></lease>`;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("'", "&apos;");
}
