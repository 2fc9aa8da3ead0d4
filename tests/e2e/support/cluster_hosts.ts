import assert from "node:assert/strict";
import { Etcd } from "../../support/etcd.ts";
import { until } from "../../support/until.ts";
import type { Output } from "./command.ts";
import { installMissing } from "./debian_packages.ts";
import { Libvirt } from "./libvirt.ts";
import { untilMember } from "./lock_service.ts";
import { NetworkSwitch } from "./network_switch.ts";
import { Machine } from "./nspawn.ts";
import { clusterPackage, debianPackage, install } from "./packages.ts";
import type { Release } from "./releases.ts";

/** One of the two hosts. */
export type End = 0 | 1;
/** Releases of Debian that the two hosts are. */
export type Releases = readonly [Release, Release];

const ENDS = [0, 1] as const;
const IDS = ["one", "two"] as const;
const UUIDS = ["0a000000-0000-4000-8000-000000000001", "0a000000-0000-4000-8000-000000000002"] as const;
/** Where each host is. */
export const HOST_ADDRESSES = ["10.77.0.1", "10.77.0.2"] as const;
const MEMBERS = ["10.77.0.11", "10.77.0.12", "10.77.0.13"] as const;
const PREFIX = "/virtlockd/prod/";
const GUESTS = "/var/lib/guests";
/** Exit code of a command that etcd does not answer in time. */
const UNREACHABLE = 2;

/** Two hosts of releases that VIRTLOCKD_TEST_CLUSTER names, as `trixie,trixie`; undefined: it is not set. */
export function clusterReleases(): Releases | undefined {
  const named = Deno.env.get("VIRTLOCKD_TEST_CLUSTER");
  if (named === undefined) return undefined;
  const [from = "bookworm", to = "bookworm"] = named.split(",") as Release[];
  return [from, to];
}

/** What the hosts are made of, and go with. */
interface ClusterHostsParts {
  readonly releases: Releases;
  readonly etcd: Etcd;
  readonly network: NetworkSwitch;
  /** Of guests' disks, and of those of the machines. */
  readonly directory: string;
  readonly settings: string;
}

/**
 * Two machines that are the hosts of a cluster with three members of etcd, and real guests. The guests' disks
 * are on storage that both share, the lock directories are each host's own. A machine that is switched off
 * keeps its disk.
 */
export class ClusterHosts implements AsyncDisposable {
  readonly #parts: ClusterHostsParts;
  readonly #machines = new Map<End, Machine>();
  readonly #stack = new AsyncDisposableStack();

  private constructor(parts: ClusterHostsParts) {
    this.#parts = parts;
  }

  /**
   * Boots both, and waits until they are members.
   *
   * @param settings more of them, for printf(1)
   * @param members those that are; the others have libvirt's daemon, with the settings for ours
   */
  static async start(
    releases: Releases,
    settings = "",
    members: readonly End[] = ENDS,
  ): Promise<ClusterHosts> {
    await installMissing(["etcd-server", "etcd-client"]);
    await using stack = new AsyncDisposableStack();
    const directory = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "virtlockd-shared-" });
    stack.defer(() => Deno.remove(directory, { recursive: true }));
    for (const name of ["guests", ...IDS]) await Deno.mkdir(`${directory}/${name}`, { mode: 0o755 });
    const network = stack.use(await NetworkSwitch.create(MEMBERS));
    const { launcher } = network;
    const etcd = stack.use(await Etcd.startOn(MEMBERS.map((address) => ({ address, launcher })), launcher));
    await etcd.openCluster("prod", ["disks", "leases"]);
    const hosts = new ClusterHosts({ releases, etcd, network, directory, settings });
    stack.defer(async () => {
      for (const end of ENDS) await hosts.powerOff(end);
    });
    for (const end of ENDS) {
      await hosts.powerOn(end);
      await hosts.#prepare(end);
      if (members.includes(end)) await hosts.#join(end);
    }
    hosts.#stack.use(stack.move());
    return hosts;
  }

  get etcd(): Etcd {
    return this.#parts.etcd;
  }

  machine(end: End): Machine {
    const machine = this.#machines.get(end);
    assert.ok(machine !== undefined, `Host ${IDS[end]} is switched off`);
    return machine;
  }

  libvirt(end: End): Libvirt {
    return new Libvirt(this.machine(end), GUESTS);
  }

  /** Boots a host, also again: it is where it was when it was switched off. */
  async powerOn(end: End): Promise<void> {
    const { releases, directory, network } = this.#parts;
    const machine = await Machine.boot(releases[end], {
      guests: `${directory}/guests`,
      disk: `${directory}/${IDS[end]}`,
      begun: (init) => network.plug(init, HOST_ADDRESSES[end]),
    });
    this.#machines.set(end, machine);
  }

  /** Cuts a host off from the network: all that runs on it goes on. */
  async cutOff(end: End): Promise<void> {
    await this.#parts.network.cut(this.machine(end).init);
  }

  /** Takes its power from a host: everything on it ends at once. Harmless when it is off. */
  async powerOff(end: End): Promise<void> {
    const machine = this.#machines.get(end);
    this.#machines.delete(end);
    await machine?.[Symbol.asyncDispose]();
  }

  /** Live migration from one host to the other, over another address of that one if need be. */
  async migrate(guest: string, from: End, by?: string): Promise<Output> {
    const address = HOST_ADDRESSES[from === 0 ? 1 : 0];
    const virsh = ["virsh", "-q", "-c", "qemu:///system", "migrate", "--live", "--unsafe", "--persistent"];
    const target = [`qemu+tcp://${by ?? address}/system`, "--migrateuri", `tcp://${address}`];
    return await this.machine(from).run([...virsh, guest, ...target]);
  }

  /** A guest runs on a host, which has so many locks in etcd for it, and nobody else has any of it. */
  async runsOn(end: End, guest: string, locks: number): Promise<void> {
    assert.equal(await this.state(end, guest), "running");
    const sessions = (await this.locks()).flatMap(({ session, domain }) => domain === guest ? [session] : []);
    assert.equal(sessions.length, locks);
    assert.equal(new Set(sessions).size, 1);
  }

  /** What a guest does on a host, as virsh calls it. */
  async state(end: End, guest: string): Promise<string> {
    return (await this.libvirt(end).virsh("domstate", guest)).trim();
  }

  /** Waits until a guest runs on a host. */
  async untilRuns(end: End, guest: string): Promise<void> {
    await until(`${guest} to run`, async () => await this.state(end, guest) === "running");
  }

  /** Every lock that is in etcd. */
  async locks(): Promise<{ readonly session: string; readonly domain: string }[]> {
    const found = await this.etcd.keys(`${PREFIX}lock/`);
    return [...found.values()].map((value) => JSON.parse(value) as { session: string; domain: string });
  }

  /** Waits until a host is a member and has nothing to complain of. */
  async untilLive(end: End): Promise<void> {
    await untilMember(this.machine(end));
  }

  /** Somebody says on a host that another one is dead, and again when the link with etcd was too slow. */
  async fence(host: string, by: End): Promise<void> {
    await until(`host ${host} to be fenced`, async () => {
      const output = await this.machine(by).run(["virtlockd", "cluster", "fence", host, "--yes"]);
      assert.ok([0, UNREACHABLE].includes(output.code), output.stderr);
      return output.code === 0;
    }, 120_000);
  }

  /** Waits until etcd has not heard of a host for as long as that counts. */
  async untilSilent(end: End): Promise<void> {
    const key = `${PREFIX}host/${IDS[end]}`;
    await until(`host ${IDS[end]} not to be heard of`, async () => {
      return (await this.etcd.keys(key)).size === 0;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  /** Installs our packages on a machine: whoever is its lock daemon hands over to ours. */
  async installOurs(end: End): Promise<void> {
    await install(this.machine(end), await debianPackage(), await clusterPackage());
  }

  /** Gives a machine lock directories of its own, and settings. */
  async #prepare(end: End): Promise<void> {
    const machine = this.machine(end);
    const libvirt = this.libvirt(end);
    await libvirt.configure({ indirectDisks: true });
    const spaces = [libvirt.diskLockspace, libvirt.leaseLockspace];
    for (const [index, space] of spaces.entries()) {
      const own = `/var/lib/spaces/${index}`;
      await machine.sh(`
        mkdir -p ${space} ${own}
        chmod 0700 ${own}
        echo '${own} ${space} none bind 0 0' >>/etc/fstab
        mount --bind ${own} ${space}
      `);
    }
    await machine.sh(`
      echo ${IDS[end]} >/etc/hostname
      hostname ${IDS[end]}
      printf 'auth_tcp = "none"\\nhost_uuid = "${UUIDS[end]}"\\n' >>/etc/libvirt/libvirtd.conf
      systemctl stop libvirtd.service
      systemctl enable --quiet libvirtd.service libvirtd-tcp.socket
      systemctl start libvirtd-tcp.socket libvirtd.service
    `);
    const endpoints = this.etcd.urls.map((url) => `"${url}"`).join(", ");
    const settings =
      `${this.#parts.settings}settle_timeout = 1\\ncluster_endpoints = [ ${endpoints} ]\\ncluster_name = "prod"\\n` +
      `cluster_host_id = "${IDS[end]}"\\n` +
      `cluster_lockspaces = [ "disks=${spaces[0]}", "leases=${spaces[1]}" ]\\n`;
    await machine.sh(`printf '${settings}' >/etc/libvirt/virtlockd.conf`);
  }

  /** Makes a machine a host of the cluster. */
  async #join(end: End): Promise<void> {
    await this.installOurs(end);
    await this.machine(end).sh("systemctl start virtlockd; virtlockd reload");
    await this.untilLive(end);
  }
}
