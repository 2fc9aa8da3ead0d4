import { CommandError, type Output, runOk, type RunOptions, type Site } from "./command.ts";
import { type Guest, guestXml } from "./guest.ts";
import { pidIn } from "./pid_file.ts";

// libvirt asks QEMU for each of hundreds of features of a guest's CPU, by a command each, and most of the
// time that a start takes goes into that. Without this capability two commands tell it all.
const QEMU_CONF = `
capability_filters = ["cpu-unavailable-features"]
lock_manager = "lockd"
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
stdio_handler = "file"
remember_owner = 0
`;

/** How libvirtd uses virtlockd. */
export interface LockOptions {
  /** Lock a file in a lockspace named after the disk instead of the disk itself. */
  indirectDisks?: boolean;
  /** Refuse to start a guest whose disks have no lease. */
  requireLease?: boolean;
  /** Give each guest a mount namespace of its own, as libvirt does by default. */
  namespaces?: boolean;
}

/** A libvirtd of a site, and the disks and guests of a test on it. */
export class Libvirt implements Site {
  /** Where disks and lockspaces go, the site's path. */
  readonly directory: string;
  /** Lockspace of the leases. */
  readonly leaseLockspace: string;
  /** Lockspace of the disks with {@link LockOptions.indirectDisks}. */
  readonly diskLockspace: string;
  readonly #site: Site;

  /** The directory is made by {@link configure} when it is absent. */
  constructor(site: Site, directory: string) {
    this.#site = site;
    this.directory = directory;
    this.leaseLockspace = `${directory}/leases`;
    this.diskLockspace = `${directory}/disks`;
  }

  run(argv: readonly string[], options?: RunOptions): Promise<Output> {
    return this.#site.run(argv, options);
  }

  outside(path: string): string {
    return this.#site.outside(path);
  }

  /** Writes libvirtd's configuration, which a running libvirtd reads when it is restarted. */
  async configure(
    { indirectDisks = false, requireLease = false, namespaces = false }: LockOptions = {},
  ): Promise<void> {
    // lvm_lockspace_dir makes libvirtd register a lockspace for leases without making its file disks
    // indirect.
    const lockd = [
      `lvm_lockspace_dir = "${this.leaseLockspace}"`,
      `require_lease_for_disks = ${requireLease ? 1 : 0}`,
      ...indirectDisks ? [`file_lockspace_dir = "${this.diskLockspace}"`] : [],
    ];
    await Deno.writeTextFile(
      this.outside("/etc/libvirt/qemu.conf"),
      `${QEMU_CONF}namespaces = [${namespaces ? '"mount"' : ""}]\n`,
    );
    await Deno.writeTextFile(this.outside("/etc/libvirt/qemu-lockd.conf"), `${lockd.join("\n")}\n`);
    await runOk(this, ["mkdir", "-p", "-m", "0700", this.leaseLockspace]);
  }

  /**
   * Runs virsh.
   *
   * @returns its standard output
   * @throws CommandError with what virsh said
   */
  virsh(...args: string[]): Promise<string> {
    return runOk(this, virshArgs(...args));
  }

  /**
   * Runs virsh, which has to fail.
   *
   * @returns its standard error
   */
  async virshError(...args: string[]): Promise<string> {
    const output = await this.run(virshArgs(...args));
    if (output.code === 0) {
      throw new CommandError(virshArgs(...args), output);
    }
    return output.stderr;
  }

  /** Whether libvirtd serves. */
  async answers(): Promise<boolean> {
    return (await this.run(virshArgs("list"))).code === 0;
  }

  /** Runs virt-admin on the site's virtlockd. */
  virtAdmin(...args: string[]): Promise<string> {
    return runOk(this, ["virt-admin", "-c", "virtlockd:///system", ...args]);
  }

  /** Makes a disk image of 1 MiB in the site's directory. */
  async createDisk(name: string, format: "raw" | "qcow2" = "qcow2"): Promise<string> {
    const path = `${this.directory}/${name}`;
    await runOk(this, ["qemu-img", "create", "-q", "-f", format, path, "1M"]);
    return path;
  }

  /** Makes the file of a lease in the lease lockspace. */
  async createLease(
    key: string,
  ): Promise<{ directory: string; lockspace: string; key: string; path: string }> {
    const path = `${this.leaseLockspace}/${key}`;
    await runOk(this, ["touch", path]);
    return { directory: this.directory, lockspace: "leases", key, path };
  }

  /** Defines a guest; it does not run yet. */
  async define(guest: Guest): Promise<void> {
    await runOk(this, virshArgs("define", "/dev/stdin"), { input: guestXml(guest) });
  }

  /** Pid of a running guest's QEMU. @throws Error when there is none yet */
  async guestPid(name: string): Promise<number> {
    return await pidIn(this.outside(`/run/libvirt/qemu/${name}.pid`));
  }
}

function virshArgs(...args: string[]): string[] {
  return ["virsh", "-q", "-c", "qemu:///system", ...args];
}
