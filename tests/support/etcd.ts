import { existsSync, statfsSync } from "node:fs";
import { encodeMeta } from "../../src/lockd/cluster/keys/meta_record.ts";
import { HeldPort } from "./held_port.ts";
import { TestProcess } from "./test_process.ts";
import { PATIENCE_MS, until } from "./until.ts";

const EXECUTABLE = "/usr/bin/etcd";
/** Of one that a test is to {@link Etcd.fill}, in MiB: small. */
const QUOTA_MIB = 32;
const FILL_BYTES = 1 << 20;
const FILLER = "/filler";
/** A file system in memory, where there is one. */
const MEMORY = "/dev/shm";
/** What three members write ahead and never come to, with room to spare. */
const MEMORY_BYTES = 2 * 2 ** 30;
/** How long one member's answer is waited for, in ms: as long as etcdctl waits when nobody says otherwise. */
const ANSWER_MS = 5000;
/** How long etcdctl waits where members run beside many other things, and not where a test cuts them off. */
const LASTING = ["--dial-timeout=60s", "--command-timeout=60s"];
/** Before members are asked again of which none has answered, in ms. */
const AGAIN_MS = 100;
/** How long members may take to start where other tests keep processors and disk busy, in ms. */
const START_MS = 120_000;

/**
 * Where an etcd has its data. Each of its changes waits for its disk: beside a test that installed a whole
 * distribution that took seconds, and members had no leader after 20 s.
 */
type Medium = "memory" | "disk";

/** Where a member of etcd runs. */
export interface EtcdNode {
  /** IPv4 address of its own. */
  readonly address: string;
  /** Command that runs another one there as its last arguments. */
  readonly launcher: readonly string[];
}

/** A member of an etcd of a test's own. */
interface Member {
  readonly client: string;
  readonly peer: string;
  readonly data: string;
  /** Command that runs etcd where the member is. */
  readonly launcher: readonly string[];
  /** What its database may have, in bytes; 0: as much as etcd thinks fit. */
  readonly quota: number;
  /** So many operations a transaction may have at most. */
  readonly operations?: number;
  process: TestProcess;
}

/** What an etcd is made of, and goes with. */
interface EtcdParts {
  readonly members: readonly Member[];
  readonly directory: string;
  readonly launcher: readonly string[];
  readonly ports: readonly HeldPort[];
}

/**
 * An etcd of a test's own, on addresses that nobody else uses: of loopback, or of nodes that the test has.
 * Disposing of it kills it.
 */
export class Etcd implements AsyncDisposable {
  readonly #members: readonly Member[];
  readonly #directory: string;
  /** Command that runs another one where all members can be reached. */
  readonly #launcher: readonly string[];
  readonly #ports: readonly HeldPort[];

  private constructor(parts: EtcdParts) {
    this.#members = parts.members;
    this.#directory = parts.directory;
    this.#launcher = parts.launcher;
    this.#ports = parts.ports;
  }

  /**
   * Starts one of so many members, and waits until it answers.
   *
   * @param medium where its data are: those of a measurement belong on a disk
   * @param database "small": it can be filled; "narrow": it takes fewer operations in a transaction than by
   *   default
   */
  static async start(
    count = 1,
    medium: Medium = "memory",
    database: "large" | "small" | "narrow" = "large",
  ): Promise<Etcd> {
    const ports: HeldPort[] = [];
    const port = () => {
      const held = HeldPort.take();
      ports.push(held);
      return held.number;
    };
    const addresses = Array.from({ length: count }, () => ({
      client: `http://localhost:${port()}`,
      peer: `http://127.0.0.1:${port()}`,
      launcher: [],
      quota: database === "small" ? QUOTA_MIB << 20 : 0,
      ...database === "narrow" ? { operations: 127 } : {},
    }));
    return await Etcd.#start(addresses, { directory: makeDirectory(medium), launcher: [], ports });
  }

  /**
   * Starts one with a member on each node, and waits until it answers. Its database is small, and on a disk.
   *
   * @param launcher command that runs another one where all nodes can be reached
   */
  static async startOn(nodes: readonly EtcdNode[], launcher: readonly string[]): Promise<Etcd> {
    const addresses = nodes.map(({ address, launcher }) => ({
      client: `http://${address}:2379`,
      peer: `http://${address}:2380`,
      launcher,
      quota: QUOTA_MIB << 20,
    }));
    return await Etcd.#start(addresses, { directory: makeDirectory("disk"), launcher, ports: [] });
  }

  static async #start(
    addresses: readonly Omit<Member, "data" | "process">[],
    parts: Omit<EtcdParts, "members">,
  ): Promise<Etcd> {
    const { directory } = parts;
    const places = addresses.map((place, index) => ({ ...place, data: `${directory}/m${index}` }));
    const initial = initialCluster(places);
    const members = places.map((place, index) => ({
      ...place,
      process: startMember(place, index, initial, directory),
    }));
    const etcd = new Etcd({ ...parts, members });
    try {
      for (const { client } of members) await etcd.#healthy(client);
      return etcd;
    } catch (error) {
      await etcd[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** URLs of the members. */
  get urls(): readonly string[] {
    return this.#members.map(({ client }) => client);
  }

  /** Holds all members up, as a network does that is cut. */
  stop(): void {
    for (const { process } of this.#members) process.signal("SIGSTOP");
  }

  /** Lets them go on. */
  resume(): void {
    for (const { process } of this.#members) process.signal("SIGCONT");
  }

  /** Process ids of the members, in their order. */
  get pids(): readonly number[] {
    return this.#members.map(({ process }) => process.pid);
  }

  /** Sends a signal to one member. */
  signal(index: number, signal: Deno.Signal): void {
    this.#member(index).process.signal(signal);
  }

  /** Kills one member. */
  async kill(index: number): Promise<void> {
    await this.#member(index).process.kill();
  }

  /** Starts a member again after {@link kill}. */
  restart(index: number): void {
    const member = this.#member(index);
    member.process = startMember(member, index, initialCluster(this.#members), this.#directory);
  }

  #member(index: number): Member {
    const member = this.#members[index];
    if (member === undefined) throw new Error(`etcd has no member ${index}`);
    return member;
  }

  /** Every key below a prefix, with its value. @throws Error when etcd does not answer for minutes */
  async keys(prefix = "/virtlockd/"): Promise<Map<string, string>> {
    const { kvs = [] } = await this.#below(prefix);
    return new Map(kvs.map(({ key, value }) => [atob(key), atob(value)]));
  }

  /** Tests look again and again: where no process has to be started for that none is. */
  async #below(prefix: string): Promise<{ kvs?: { key: string; value: string }[] }> {
    if (this.#launcher.length > 0) {
      return JSON.parse(await this.control("get", prefix, "--prefix", "-w", "json"));
    }
    const behind = prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
    const end = performance.now() + PATIENCE_MS;
    for (;;) {
      const errors: unknown[] = [];
      for (const url of this.urls) {
        try {
          const { ok, text } = await range(url, { key: btoa(prefix), range_end: btoa(behind) });
          if (ok) return JSON.parse(text);
          errors.push(text);
        } catch (error) {
          errors.push(error);
        }
      }
      if (performance.now() > end) {
        throw new Error(`Look what etcd has below ${prefix}: ${errors.join("; ")}`);
      }
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }

  /** Makes a cluster that is open from the beginning, as hosts find it that are not the first ones. */
  async openCluster(name: string, spaces: readonly string[]): Promise<void> {
    const key = `/virtlockd/${name}/meta`;
    if ((await this.keys(key)).size > 0) return;
    const meta = { spaces, phase: "open", round: "first", expect: [], without: [], why: "" } as const;
    await this.control("put", key, encodeMeta(meta));
  }

  /** Makes a backup, in a file that goes with the etcd. @returns its path */
  async save(): Promise<string> {
    const path = `${this.#directory}/backup`;
    const [client = ""] = this.urls;
    await this.#run(["etcdctl", `--endpoints=${client}`, "snapshot", "save", path]);
    return path;
  }

  /** Kills all members and starts them again with what a backup has. */
  async restore(backup: string): Promise<void> {
    for (const { process } of this.#members) await process.kill();
    const initial = initialCluster(this.#members);
    for (const [index, { data, peer }] of this.#members.entries()) {
      Deno.removeSync(data, { recursive: true });
      await this.#run([
        "etcdctl",
        "snapshot",
        "restore",
        backup,
        `--name=m${index}`,
        `--data-dir=${data}`,
        `--initial-cluster=${initial}`,
        `--initial-cluster-token=${this.#directory}`,
        `--initial-advertise-peer-urls=${peer}`,
      ]);
    }
    for (const index of this.#members.keys()) this.restart(index);
    for (const { client } of this.#members) await this.#healthy(client);
  }

  /** Number of the member that leads now; undefined: none does. */
  async leader(): Promise<number | undefined> {
    const text = await this.control("endpoint", "status", "-w", "json");
    type MemberStatus = { Endpoint: string; Status: { leader: number; header: { member_id: number } } };
    const members: MemberStatus[] = JSON.parse(text);
    const found = members.find(({ Status: { leader, header } }) => leader === header.member_id);
    const index = this.urls.indexOf(found?.Endpoint ?? "");
    return index < 0 ? undefined : index;
  }

  /** Fills the database of one that is small, until etcd takes nothing more. */
  async fill(): Promise<void> {
    for (let number = 0;; number++) {
      try {
        await this.#run(["etcdctl", ...this.#endpoints, "put", FILLER], "x".repeat(FILL_BYTES));
      } catch (error) {
        if (error instanceof Error && error.message.includes("database space exceeded")) return;
        if (number > 4 * QUOTA_MIB) throw error;
      }
    }
  }

  /** Undoes {@link fill}. @throws Error when it could not be done */
  async makeRoom(): Promise<void> {
    await this.control("del", FILLER);
    const [status]: { Status: { header: { revision: number } } }[] = JSON.parse(
      await this.control("endpoint", "status", "-w", "json"),
    );
    const { revision } = status?.Status.header ?? { revision: 0 };
    try {
      await this.control("compact", String(revision), "--physical");
    } catch (error) {
      // An earlier try has done it.
      if (!(error instanceof Error) || !error.message.includes("has been compacted")) throw error;
    }
    await this.control("defrag");
    await this.control("alarm", "disarm");
  }

  /** Has `etcdctl txn` do what a text says. @returns what it says. @throws Error when it fails */
  async transact(text: string): Promise<string> {
    return await this.#run(["etcdctl", ...this.#endpoints, "txn"], text);
  }

  /** Writes a key by hand, whatever bytes that are. @throws Error when it fails */
  async putBytes(key: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#run(["etcdctl", ...this.#endpoints, "put", key], bytes);
  }

  /** Runs etcdctl. @returns what it says. @throws Error when it fails */
  async control(...args: string[]): Promise<string> {
    return await this.#run(["etcdctl", ...this.#endpoints, ...args]);
  }

  get #endpoints(): readonly string[] {
    return [`--endpoints=${this.urls.join(",")}`, ...this.#launcher.length === 0 ? LASTING : []];
  }

  /** @param input a value that is too long for an argument */
  async #run(command: readonly string[], input?: string | Uint8Array<ArrayBuffer>): Promise<string> {
    const [program = "", ...args] = [...this.#launcher, ...command];
    const child = new Deno.Command(program, {
      args,
      env: { ETCDCTL_API: "3" },
      stdin: input === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    if (input !== undefined) await new Blob([input]).stream().pipeTo(child.stdin);
    const { success, stdout, stderr } = await child.output();
    if (!success) throw new Error(`${command.join(" ")}: ${new TextDecoder().decode(stderr)}`);
    return new TextDecoder().decode(stdout);
  }

  async #healthy(url: string): Promise<void> {
    if (this.#launcher.length === 0) {
      return void await until(`etcd at ${url} to become healthy`, () => isHealthy(url), START_MS);
    }
    const [program = "", ...args] = [
      ...this.#launcher,
      "etcdctl",
      `--endpoints=${url}`,
      "endpoint",
      "health",
    ];
    const command = new Deno.Command(program, { args, env: { ETCDCTL_API: "3" } });
    await until(`etcd at ${url} to become healthy`, async () => (await command.output()).success, START_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { process } of this.#members) await process.kill();
    for (const port of this.#ports) port[Symbol.dispose]();
    Deno.removeSync(this.#directory, { recursive: true });
  }
}

/** Asks one member for keys over HTTP. @throws TypeError, DOMException when it does not answer */
async function range(
  url: string,
  keys: { readonly key: string; readonly range_end?: string },
): Promise<{ readonly ok: boolean; readonly text: string }> {
  const signal = AbortSignal.timeout(ANSWER_MS);
  const answer = await fetch(`${url}/v3/kv/range`, { method: "POST", body: JSON.stringify(keys), signal });
  return { ok: answer.ok, text: await answer.text() };
}

/** Whether a member says that it is well, as etcdctl asks for it: by a read that all agree upon. */
async function isHealthy(url: string): Promise<boolean> {
  try {
    return (await range(url, { key: btoa("health") })).ok;
  } catch (error) {
    // Nobody listens yet, or there is no leader.
    if (error instanceof TypeError || error instanceof DOMException) return false;
    throw error;
  }
}

/** Memory only where there is room in it. */
function makeDirectory(medium: Medium): string {
  const prefix = "virtlockd-etcd-";
  if (medium === "disk" || !hasMemory()) return Deno.makeTempDirSync({ prefix });
  return Deno.makeTempDirSync({ prefix, dir: MEMORY });
}

function hasMemory(): boolean {
  if (!existsSync(MEMORY)) return false;
  const { bavail, bsize } = statfsSync(MEMORY);
  return bavail * bsize > MEMORY_BYTES;
}

function startMember(
  { client, peer, data, launcher, quota, operations = 128 }: Omit<Member, "process">,
  index: number,
  initial: string,
  directory: string,
): TestProcess {
  const listen = client.replace("localhost", "127.0.0.1");
  return new TestProcess(
    [
      ...launcher,
      EXECUTABLE,
      `--name=m${index}`,
      `--data-dir=${data}`,
      `--listen-client-urls=${listen}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=${initial}`,
      `--initial-cluster-token=${directory}`,
      `--quota-backend-bytes=${quota}`,
      `--max-txn-ops=${operations}`,
    ],
    { PATH: "/usr/bin:/bin", ...unsupported() },
    directory,
  );
}

function initialCluster(members: readonly Pick<Member, "peer">[]): string {
  return members.map(({ peer }, index) => `m${index}=${peer}`).join(",");
}

function unsupported(): Record<string, string> {
  return Deno.build.arch === "aarch64" ? { ETCD_UNSUPPORTED_ARCH: "arm64" } : {};
}
