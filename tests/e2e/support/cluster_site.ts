import assert from "node:assert/strict";
import { until } from "../../support/until.ts";
import { host, runOk } from "./command.ts";
import { Libvirt } from "./libvirt.ts";
import { NetworkSwitch } from "./network_switch.ts";
import { Machine } from "./nspawn.ts";
import { clusterPackage, debianPackage, install } from "./packages.ts";
import { textsOf, textWith } from "./page.ts";
import type { Release } from "./releases.ts";
import { SiteCertificates } from "./site_certificates.ts";
import { CLUSTER_PAGE, ETCD_PAGE, NAMES, ofHost, ofMember, type Place, PLACES } from "./site_names.ts";

const GUESTS = "/var/lib/guests";
/** Where an administrator keeps certificates, on each machine. */
const KEEPER = "/root/virtlockd";
const DIRECTORIES = "/var/lib/libvirt/lockd";
/** Where guests of tests, which have files for disks, are locked. */
export const LOCK_DIRECTORY = `${DIRECTORIES}/files`;
/** Address of a machine that is none of the three. */
const STRANGER = "192.0.2.20";
const HOSTS = NAMES.map(({ member, host, address }) => `${address} ${member} ${host}`).join("\n");
/** How long a host may take to be a member, in ms. */
const JOIN_MS = 90_000;

/** Exit code of a command that etcd does not answer in time. */
const UNREACHABLE = 2;

/**
 * Three machines, each with a member of etcd and a host of the cluster on it, set up from nothing by what
 * docs/cluster-etcd.md and docs/cluster.md say, with packages of their release. Guests' disks are on storage
 * that all share. A machine that is switched off keeps its disk.
 */
export class ClusterSite implements AsyncDisposable {
  readonly release: Release;
  readonly #network: NetworkSwitch;
  readonly #directory: string;
  /** Where an administrator makes them. */
  readonly certificates: SiteCertificates;
  readonly #machines = new Map<Place, Machine>();
  readonly #stack = new AsyncDisposableStack();

  private constructor(release: Release, network: NetworkSwitch, directory: string) {
    this.release = release;
    this.#network = network;
    this.#directory = directory;
    this.certificates = new SiteCertificates(`${directory}/certificates`);
  }

  /** Boots all, and follows the pages until the cluster is open. */
  static async start(release: Release): Promise<ClusterSite> {
    await using stack = new AsyncDisposableStack();
    const directory = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "virtlockd-site-" });
    stack.defer(() => Deno.remove(directory, { recursive: true }));
    for (const name of ["guests", "certificates", ...PLACES.map(String)]) {
      await Deno.mkdir(`${directory}/${name}`, { mode: 0o755 });
    }
    const site = new ClusterSite(release, stack.use(await NetworkSwitch.create([])), directory);
    stack.defer(async () => {
      for (const place of PLACES) await site.powerOff(place);
    });
    await Promise.all(PLACES.map((place) => site.powerOn(place)));
    for (const place of PLACES) await site.#name(place);
    await site.certificates.authority();
    await site.certificates.sign();
    for (const place of PLACES) await site.certificates.bring(site.machine(place), place, KEEPER);
    await Promise.all(PLACES.map((place) => site.installEtcd(place)));
    await Promise.all(PLACES.map((place) => site.machine(place).sh("systemctl enable --quiet --now etcd")));
    await site.untilHealthy(3);
    await site.#users();
    await Promise.all(PLACES.map((place) => site.#join(place)));
    await site.say(await textWith(CLUSTER_PAGE, "Set it up", "cluster open"));
    for (const place of PLACES) await site.untilLive(place);
    site.#stack.use(stack.move());
    return site;
  }

  machine(place: Place): Machine {
    const machine = this.#machines.get(place);
    assert.ok(machine !== undefined, `${NAMES[place].host} is switched off`);
    return machine;
  }

  libvirt(place: Place): Libvirt {
    return new Libvirt(this.machine(place), GUESTS);
  }

  /** What a host is called. */
  hostName(place: Place): string {
    return NAMES[place].host;
  }

  /**
   * Boots a machine, also again.
   *
   * @param network late: it has none before it is {@link plug}ged in
   */
  async powerOn(place: Place, network: "there" | "late" = "there"): Promise<void> {
    const machine = await Machine.boot(this.release, {
      guests: `${this.#directory}/guests`,
      disk: `${this.#directory}/${place}`,
      begun: (init) => {
        return network === "there" ? this.#network.plug(init, NAMES[place].address) : Promise.resolve();
      },
    });
    this.#machines.set(place, machine);
  }

  /** Gives a machine its network, that had none when it was booted. */
  async plug(place: Place): Promise<void> {
    await this.#network.plug(this.machine(place).init, NAMES[place].address);
  }

  /** Changes what is on the disk of a machine that is switched off, by a script that runs in its root. */
  async onDisk(place: Place, script: string): Promise<void> {
    await runOk(host, ["sh", "-ec", `cd "$1"\n${script}`, "sh", `${this.#directory}/${place}`]);
  }

  /** Takes its power from a machine: everything on it ends at once. Harmless when it is off. */
  async powerOff(place: Place): Promise<void> {
    const machine = this.#machines.get(place);
    this.#machines.delete(place);
    await machine?.[Symbol.asyncDispose]();
  }

  /** Runs what a page says with root's certificate, on a machine. @returns its standard output */
  async asRoot(script: string, place: Place = 0): Promise<string> {
    const [login = ""] = (await textWith(ETCD_PAGE, "Users and roles", "ETCDCTL_CERT")).split(
      "etcdctl member",
    );
    return await this.machine(place).sh(`cd ${KEEPER}\n${login}\n${script}`, { deadline: 120_000 });
  }

  /** Where an administrator has what the pages name without a directory, on each machine. */
  get keeper(): string {
    return KEEPER;
  }

  /** Runs what a page says on a machine, where certificates and the like are. @returns its standard output */
  async follow(script: string, place: Place): Promise<string> {
    const quiet = script.replace("apt-get install", "DEBIAN_FRONTEND=noninteractive apt-get install -q -y");
    return await this.machine(place).online(`cd ${KEEPER}\n${quiet}`, { deadline: 180_000 });
  }

  /** Has the hosts run what a page says of the whole cluster, until etcd answers it. */
  async say(command: string, place: Place = 0): Promise<void> {
    await until(`"${command.trim()}" to be done`, async () => {
      const output = await this.machine(place).run(["sh", "-ec", command], { deadline: 120_000 });
      assert.ok([0, UNREACHABLE].includes(output.code), output.stderr);
      return output.code === 0;
    }, 180_000);
  }

  /**
   * Boots a machine that is no member of anything and has the packages, and what somebody needs who may only
   * look at the cluster.
   */
  async stranger(): Promise<Machine> {
    const machine = this.#stack.use(
      await Machine.boot(this.release, {
        begun: (init) => this.#network.plug(init, STRANGER),
      }),
    );
    await machine.sh(`echo '${HOSTS}' >>/etc/hosts; mkdir -p ${KEEPER}`);
    await install(machine, await debianPackage());
    await install(machine, await clusterPackage());
    for (const name of ["ca", "viewer", "viewer-key"]) await this.certificates.copy(machine, name, KEEPER);
    return machine;
  }

  /** Waits until so many members of etcd say that they are well. */
  async untilHealthy(count: number): Promise<void> {
    await until(`${count} members of etcd to be well`, async () => {
      const said = await this.asRoot("etcdctl endpoint health 2>&1 || true");
      return said.match(/is healthy/g)?.length === count;
    }, 60_000);
  }

  /** Every session of a host that is known, as `cluster hosts` lists it. */
  async hosts(place: Place = 0): Promise<readonly { name: string; session: string; state: string }[]> {
    const listed = JSON.parse(await this.machine(place).sh("virtlockd cluster hosts --json"));
    return listed.map(({ name, session, state }: { name: string; session: string; state: string }) => {
      return { name, session, state };
    });
  }

  /** Every key below a prefix, with its value, by the first member that answers. */
  async keys(prefix: string): Promise<ReadonlyMap<string, string>> {
    const { kvs = [] }: { kvs?: { key: string; value: string }[] } = JSON.parse(
      await this.asRoot(`
        for member in etcd1 etcd2 etcd3; do
          ETCDCTL_ENDPOINTS=https://$member:2379 etcdctl get --prefix -w json ${prefix} && exit 0
        done
        exit 1
      `),
    );
    return new Map(kvs.map(({ key, value }) => [atob(key), atob(value)]));
  }

  /** The domains that have locks in etcd, each as often as it has one, in their order. */
  async lockedDomains(): Promise<readonly string[]> {
    const found = await this.keys("/virtlockd/prod/lock/");
    return [...found.values()].map((value) => (JSON.parse(value) as { domain: string }).domain).sort();
  }

  /** Waits until a host is a member and has nothing to complain of. */
  async untilLive(place: Place): Promise<void> {
    await until(`${NAMES[place].host} to be a member`, async () => {
      const output = await this.machine(place).run(["virtlockd", "status", "--json"]);
      if (output.code !== 0) return false;
      const { sections: { cluster } } = JSON.parse(output.stdout);
      return cluster.state === "live" && cluster.reason === undefined;
    }, JOIN_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  /** A machine has a name, an id of its own, and knows the others. */
  async #name(place: Place): Promise<void> {
    await this.machine(place).sh(`
      echo '${HOSTS}' >>/etc/hosts
      echo ${NAMES[place].host} >/etc/hostname
      hostname ${NAMES[place].host}
      rm -f /etc/machine-id; systemd-machine-id-setup
      mkdir -p ${KEEPER}
    `);
  }

  /** Puts certificates of a machine's member and host where they are used. */
  async #place(place: Place): Promise<void> {
    const [, key = ""] = await textsOf(ETCD_PAGE, "The members");
    const [certificates = ""] = (await textsOf(CLUSTER_PAGE, "Set it up")).filter((text) => {
      return text.startsWith("install ");
    });
    const script = `${ofMember(key, place)}\n${ofHost(certificates, place)}`;
    await this.machine(place).sh(`cd ${KEEPER}\n${script}`);
  }

  /** Sets a member of etcd up, empty, by what the page says. It is not started. */
  async installEtcd(place: Place): Promise<void> {
    const machine = this.machine(place);
    const [packages = "", key = "", settings = "", unit = ""] = await textsOf(ETCD_PAGE, "The members");
    // The lists of a machine leave out what is not on it, and apt takes them for the newest ones.
    await this.follow(`rm -f /var/lib/apt/lists/*_*\napt-get update -q\n${packages}`, place);
    await machine.sh(`cd ${KEEPER}\n${ofMember(key, place)}`);
    await machine.sh("cat >>/etc/default/etcd", { input: ofMember(settings, place) });
    await machine.sh(unit);
  }

  /** Users and roles of etcd, as the page has them. */
  async #users(): Promise<void> {
    await this.machine(0).sh(`cd ${KEEPER}\n${await textWith(ETCD_PAGE, "Users and roles", "auth enable")}`);
    await this.asRoot(await textWith(ETCD_PAGE, "Users and roles", "role add viewer"));
  }

  /** Makes a machine a host of the cluster. */
  async #join(place: Place): Promise<void> {
    const machine = this.machine(place);
    await this.libvirt(place).configure();
    await install(machine, await debianPackage());
    await install(machine, await clusterPackage());
    await this.#place(place);
    const settings = ofHost(await textWith(CLUSTER_PAGE, "Set it up", "cluster_endpoints"), place);
    const directories = await textWith(CLUSTER_PAGE, "Set it up", "scsi_lockspace_dir");
    await machine.sh(`mkdir -p ${DIRECTORIES}; cat >>/etc/libvirt/virtlockd.conf`, {
      input: settings.replace(/(cluster_lockspaces = \[ )/, `$1"files=${LOCK_DIRECTORY}", `),
    });
    await machine.sh(
      `
      cat >/etc/libvirt/qemu-lockd.conf
      systemctl enable --quiet libvirtd.service
      systemctl restart libvirtd.service
      systemctl start virtlockd; virtlockd reload
    `,
      { input: `${directories}file_lockspace_dir = "${LOCK_DIRECTORY}"\n` },
    );
  }
}
