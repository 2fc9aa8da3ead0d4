import type { Check, DaemonView, Finding, Patient } from "../../../../../src/lockd/cli/checks/check.ts";
import { Host } from "../../../../../src/lockd/cli/guests/host.ts";
import { S_IFBLK } from "../../../../../src/os/constants.ts";
import type { FileSys } from "../../../../../src/os/sys.ts";
import { linuxSys } from "../../../../../src/os/linux.ts";
import type { LockEntry, StatusDocument } from "../../../../../src/lockd/status/status_document.ts";
import { STATUS } from "../cli_fixture.ts";

/**
 * Files of a host by path: their content, or `{ link }`, or a block device by its numbers, or `"directory"`
 * for a path that ends in a slash.
 */
export type Tree = Readonly<
  Record<string, string | { link: string } | { device: readonly [number, number] }>
>;

/** Unix milliseconds of every examination here. */
export const NOW = 1_795_266_578_207;

/** A host made of these files. The caller disposes of it. */
export class FakeHost implements Disposable {
  readonly root = Deno.makeTempDirSync({ prefix: "doctor-test-" });
  readonly #devices = new Map<string, readonly [number, number]>();
  readonly host: Host = new Host({ ...linuxSys(), uid: () => this.uid, stat: this.#stat() }, this.root, {
    config: "/etc/libvirt",
    guests: "/run/libvirt/qemu",
    pools: ["/etc/libvirt/storage", "/run/libvirt/storage"],
    daemonConfig: "/etc/libvirt/virtlockd.conf",
    socket: "/run/libvirt/virtlockd-sock",
    adminSocket: "/run/libvirt/virtlockd-admin-sock",
    fenceSocket: "/run/libvirt/virtlockd-fence-sock",
    pidFile: "/run/virtlockd.pid",
  });

  /** @param uid of the user who looks */
  constructor(tree: Tree, readonly uid = 0) {
    for (const [path, content] of Object.entries(tree)) {
      const full = this.root + path;
      Deno.mkdirSync(full.slice(0, full.lastIndexOf("/")), { recursive: true });
      if (path.endsWith("/")) continue;
      if (typeof content === "string") Deno.writeTextFileSync(full, content);
      else if ("link" in content) Deno.symlinkSync(content.link, full);
      else this.#devices.set(full, content.device);
    }
  }

  #stat(): FileSys["stat"] {
    const { stat } = linuxSys();
    return (path, into) => {
      const device = this.#devices.get(path);
      if (device === undefined) return stat(path, into);
      Object.assign(into, { mode: S_IFBLK, rdevMajor: device[0], rdevMinor: device[1] });
      return 0;
    };
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.root, { recursive: true });
  }
}

/** A daemon that answers. */
export function answering(
  locks: readonly LockEntry[] = [],
  status: Partial<StatusDocument> = {},
): DaemonView {
  return { kind: "answers", status: { ...STATUS, ...status }, locks };
}

/** No daemon. */
export const NO_DAEMON: DaemonView = {
  kind: "unreachable",
  obstacle: "absent",
  reason: "No daemon is running",
};

/** A host and its daemon as they are examined; parts may be replaced. */
export function patientOf(host: Host, daemon: DaemonView = NO_DAEMON, parts: Partial<Patient> = {}): Patient {
  return {
    host,
    daemon,
    lookAgain: () => daemon,
    serviceStore: () => Promise.resolve(undefined),
    silent: [],
    version: "1.0.0",
    now: NOW,
    ...parts,
  };
}

/** What a check finds on a host. */
export async function findings(
  check: Check,
  tree: Tree,
  daemon: DaemonView = NO_DAEMON,
  parts: Partial<Patient> = {},
  uid = 0,
): Promise<readonly Finding[]> {
  using fake = new FakeHost(tree, uid);
  return await check.run(patientOf(fake.host, daemon, parts));
}

/** Level and sentence of each finding. Those that are not ok have advice, or this throws. */
export async function found(...args: Parameters<typeof findings>): Promise<string[]> {
  return (await findings(...args)).map(({ level, found, advice }) => {
    if ((level === "ok") !== (advice === undefined)) {
      throw new Error(`${level} with advice ${advice}: ${found}`);
    }
    return `${level}: ${found}`;
  });
}

/** Uuid of every guest here. */
export const GUEST_UUID = "6ba7b810-9dad-41d1-80b4-00000000002a";

/** A guest as libvirt runs it: QEMU's process and libvirt's live state. @param disks elements */
export function guestProcess(
  pid: number,
  name: string,
  disks: readonly string[],
  { state = "running", leases = "" }: { state?: string; leases?: string } = {},
): Tree {
  return {
    [`/proc/${pid}/cmdline`]: ["/usr/bin/qemu-system-x86_64", "-uuid", GUEST_UUID, ""].join("\0"),
    [`/run/libvirt/qemu/${name}.xml`]:
      `<!-- generated -->\n<domstatus state='${state}' reason='booted' pid='${pid}'>\n  <qemuCaps><flag name='kvm'/></qemuCaps>\n` +
      `<domain type='kvm' id='1'><name>${name}</name><uuid>${GUEST_UUID}</uuid>` +
      `<devices>${disks.join("\n")}${leases}</devices></domain></domstatus>\n`,
  };
}

/** A domain's XML with these disks and leases. */
export function domainXml(name: string, disks: readonly string[], leases = 0): string {
  return `<!--\nWARNING: THIS IS AN AUTO-GENERATED FILE. <disk><source file='/not/this'/></disk>\n-->\n` +
    `<domain type='kvm'>\n  <name>${name}</name>\n  <uuid>${GUEST_UUID}</uuid>\n  <devices>\n${
      disks.join("\n")
    }\n${
      Array.from({ length: leases }, (_, index) => leaseXml("/leases", "x", `k${index}`)).join("\n")
    }</devices>\n</domain>\n`;
}

/** A disk element. */
export function diskXml(source: string, rest = "", attributes = "type='file' device='disk'"): string {
  return `    <disk ${attributes}>\n      <driver name='qemu' type='qcow2'/>\n      <source ${source}/>\n      ${rest}\n    </disk>`;
}

/** A lease element. */
export function leaseXml(target: string, lockspace: string, key: string): string {
  return `<lease>\n<lockspace>${lockspace}</lockspace>\n<key>${key}</key>\n<target path='${target}'/>\n</lease>`;
}
