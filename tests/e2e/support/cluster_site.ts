import assert from "node:assert/strict";
import { until } from "../../support/until.ts";
import { host, runOk } from "./command.ts";
import { Libvirt } from "./libvirt.ts";
import { NetworkSwitch } from "./network_switch.ts";
import { Machine } from "./nspawn.ts";
import { clusterPackage, debianPackage, install } from "./packages.ts";
import { textsOf, textWith } from "./page.ts";
import type { Release } from "./releases.ts";

const ETCD_PAGE = "cluster-etcd.md";
const CLUSTER_PAGE = "cluster.md";
const GUESTS = "/var/lib/guests";
/** Where an administrator keeps certificates, on each machine. */
const KEEPER = "/root/virtlockd";
const DIRECTORIES = "/var/lib/libvirt/lockd";
/** How long a host may take to be a member, in ms. */
const JOIN_MS = 90_000;

/** Exit code of a command that etcd does not answer in time. */
const UNREACHABLE = 2;

/** One of the three machines. */
export type Place = 0 | 1 | 2;
/** All of them. */
export const PLACES = [0, 1, 2] as const;

/** `openssl x509` of Debian 12 knows no other beginning than now. */
const SIGN_FROM = `
: >index.txt
printf '[ca]\\ndefault_ca=a\\n[a]\\ndatabase=index.txt\\nnew_certs_dir=.\\ndefault_md=sha256\\nrand_serial=yes\\npolicy=p\\n' >ca.cnf
printf 'unique_subject=no\\n[p]\\ncommonName=supplied\\n' >>ca.cnf
openssl ca -batch -notext -config ca.cnf -cert ca.pem -keyfile ca-key.pem -days 30 -startdate "$2" \\
  -extfile "$1.ext" -in "$1.csr" -out "$1-later.pem"
`;

/** Names and address of the member of etcd and the host that a machine is, as the pages have them. */
const NAMES = [
  { member: "etcd1", host: "kvm7", address: "192.0.2.11" },
  { member: "etcd2", host: "kvm8", address: "192.0.2.12" },
  { member: "etcd3", host: "kvm9", address: "192.0.2.13" },
] as const;

/**
 * Three machines, each with a member of etcd and a host of the cluster on it, set up from nothing by what
 * docs/cluster-etcd.md and docs/cluster.md say, with packages of their release. Guests' disks are on storage
 * that all share. A machine that is switched off keeps its disk.
 */
export class ClusterSite implements AsyncDisposable {
  readonly release: Release;
  readonly #network: NetworkSwitch;
  readonly #directory: string;
  readonly #machines = new Map<Place, Machine>();
  readonly #stack = new AsyncDisposableStack();

  private constructor(release: Release, network: NetworkSwitch, directory: string) {
    this.release = release;
    this.#network = network;
    this.#directory = directory;
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
    await site.#certificates();
    await Promise.all(PLACES.map((place) => site.#installEtcd(place)));
    await Promise.all(PLACES.map((place) => site.machine(place).sh("systemctl enable --quiet --now etcd")));
    await site.untilHealthy(3);
    await site.#users();
    await Promise.all(PLACES.map((place) => site.#join(place)));
    await site.#open();
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

  /** Waits until so many members of etcd say that they are well. */
  async untilHealthy(count: number): Promise<void> {
    await until(`${count} members of etcd to be well`, async () => {
      const said = await this.asRoot("etcdctl endpoint health 2>&1 || true");
      return said.match(/is healthy/g)?.length === count;
    }, 60_000);
  }

  /** Every key below a prefix, with its value. */
  async keys(prefix: string): Promise<ReadonlyMap<string, string>> {
    const { kvs = [] }: { kvs?: { key: string; value: string }[] } = JSON.parse(
      await this.asRoot(`etcdctl get --prefix -w json ${prefix}`),
    );
    return new Map(kvs.map(({ key, value }) => [atob(key), atob(value)]));
  }

  /** The domains that have locks in etcd, each as often as it has one, in their order. */
  async lockedDomains(): Promise<readonly string[]> {
    const found = await this.keys("/virtlockd/prod/lock/");
    return [...found.values()].map((value) => (JSON.parse(value) as { domain: string }).domain).sort();
  }

  /**
   * Makes the certificate of a host anew, as one that is valid from a time on only, in the place where the
   * first ones were made.
   *
   * @returns its text
   */
  async certificateFrom(place: Place, time: Date): Promise<string> {
    const directory = `${this.#directory}/certificates`;
    const { host: name } = NAMES[place];
    const start = time.toISOString().replace(/\.\d+|[-:T]/g, "");
    await runOk(host, ["sh", "-ec", `cd ${directory}; ${SIGN_FROM}`, "sh", name, start]);
    return await Deno.readTextFile(`${directory}/${name}-later.pem`);
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
    const lines = NAMES.map(({ member, host, address }) => `${address} ${member} ${host}`).join("\n");
    await this.machine(place).sh(`
      echo '${lines}' >>/etc/hosts
      echo ${NAMES[place].host} >/etc/hostname
      hostname ${NAMES[place].host}
      rm -f /etc/machine-id; systemd-machine-id-setup
      mkdir -p ${KEEPER}
    `);
  }

  /** Makes the certificates, and brings each machine what it needs. */
  async #certificates(): Promise<void> {
    await this.#sign("openssl req -x509");
    await this.#sign("new() {");
    await this.#bring();
  }

  /** Runs what the page has on certificates and begins so. */
  async #sign(beginning: string): Promise<void> {
    const [script = ""] = (await textsOf(ETCD_PAGE, "Certificates")).join("\n").split(/\n\n/).filter(
      (text) => {
        return text.startsWith(beginning);
      },
    );
    await runOk(host, ["sh", "-ec", `cd ${this.#directory}/certificates\n${script}`]);
  }

  /** Puts certificates of a machine's member and host where they are used. */
  async #place(place: Place): Promise<void> {
    const [, key = ""] = await textsOf(ETCD_PAGE, "The members");
    const [certificates = ""] = (await textsOf(CLUSTER_PAGE, "Set it up")).filter((text) => {
      return text.startsWith("install ");
    });
    const script = `${ofMember(key, place)}\n${certificates.replaceAll("kvm7", NAMES[place].host)}`;
    await this.machine(place).sh(`cd ${KEEPER}\n${script}`);
  }

  async #bring(): Promise<void> {
    const directory = `${this.#directory}/certificates`;
    for (const place of PLACES) {
      const { member, host: name } = NAMES[place];
      const names = ["ca", ...[member, name, "root", "viewer"].flatMap((each) => [each, `${each}-key`])];
      for (const each of names) {
        await this.machine(place).copyIn(`${directory}/${each}.pem`, `${KEEPER}/${each}.pem`);
      }
    }
  }

  async #installEtcd(place: Place): Promise<void> {
    const machine = this.machine(place);
    const [packages = "", key = "", settings = "", unit = ""] = await textsOf(ETCD_PAGE, "The members");
    const script = packages.replace(
      "apt-get install",
      "DEBIAN_FRONTEND=noninteractive apt-get install -q -y",
    );
    await machine.online(`cd ${KEEPER}\n${script}`, { deadline: 180_000 });
    await machine.sh(`cd ${KEEPER}\n${ofMember(key, place)}`);
    await machine.sh("cat >>/etc/default/etcd", { input: ofMember(settings, place) });
    await machine.sh(unit);
  }

  /** Opens the cluster, and again when the link with etcd was too slow. */
  async #open(): Promise<void> {
    const command = await textWith(CLUSTER_PAGE, "Set it up", "cluster open");
    await until("the cluster to be opened", async () => {
      const output = await this.machine(0).run(["sh", "-ec", command], { deadline: 120_000 });
      assert.ok([0, UNREACHABLE].includes(output.code), output.stderr);
      return output.code === 0;
    }, 180_000);
  }

  /** Users and roles of etcd, as the page has them. */
  async #users(): Promise<void> {
    const text = await textWith(ETCD_PAGE, "Users and roles", "auth enable");
    await this.machine(0).sh(`cd ${KEEPER}\n${text}`);
  }

  /** Makes a machine a host of the cluster. */
  async #join(place: Place): Promise<void> {
    const machine = this.machine(place);
    const name = NAMES[place].host;
    await this.libvirt(place).configure();
    await install(machine, await debianPackage());
    await install(machine, await clusterPackage());
    await this.#place(place);
    const settings = (await textWith(CLUSTER_PAGE, "Set it up", "cluster_endpoints")).replaceAll(
      "kvm7",
      name,
    );
    const directories = await textWith(CLUSTER_PAGE, "Set it up", "scsi_lockspace_dir");
    // Guests of tests have files for disks.
    const files = `${DIRECTORIES}/files`;
    await machine.sh(`mkdir -p ${DIRECTORIES}; cat >>/etc/libvirt/virtlockd.conf`, {
      input: settings.replace(/(cluster_lockspaces = \[ )/, `$1"files=${files}", `),
    });
    await machine.sh(
      `
      cat >/etc/libvirt/qemu-lockd.conf
      systemctl enable --quiet libvirtd.service
      systemctl restart libvirtd.service
      systemctl start virtlockd; virtlockd reload
    `,
      { input: `${directories}file_lockspace_dir = "${files}"\n` },
    );
  }
}

/** What the page has of the first member, for another one. */
function ofMember(text: string, place: Place): string {
  const { member, address } = NAMES[place];
  return text.split("\n").map((line) => {
    if (line.startsWith("ETCD_INITIAL_CLUSTER=")) return line;
    return line.replaceAll("etcd1", member).replaceAll("192.0.2.11", address);
  }).join("\n");
}
