import { TestProcess } from "./test_process.ts";

const EXECUTABLE = "/usr/bin/etcd";

/** A member of an etcd of a test's own. */
interface Member {
  readonly client: string;
  readonly peer: string;
  readonly data: string;
  process: TestProcess;
}

/** An etcd of a test's own, on loopback addresses that nobody else uses. Disposing of it kills it. */
export class Etcd implements AsyncDisposable {
  readonly #members: readonly Member[];
  readonly #directory: string;

  private constructor(members: readonly Member[], directory: string) {
    this.#members = members;
    this.#directory = directory;
  }

  /** Starts one of so many members, and waits until it answers. */
  static async start(count = 1): Promise<Etcd> {
    const directory = Deno.makeTempDirSync({ prefix: "virtlockd-etcd-" });
    const places = Array.from({ length: count }, (_, index) => ({
      client: `http://localhost:${freePort()}`,
      peer: `http://127.0.0.1:${freePort()}`,
      data: `${directory}/m${index}`,
    }));
    const initial = places.map(({ peer }, index) => `m${index}=${peer}`).join(",");
    const members = places.map((place, index) => ({
      ...place,
      process: startMember(place, index, initial, directory),
    }));
    const etcd = new Etcd(members, directory);
    try {
      for (const { client } of members) await healthy(client);
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

  /** Every key below a prefix, with its value. */
  async keys(prefix = "/virtlockd/"): Promise<Map<string, string>> {
    const text = await this.control("get", prefix, "--prefix", "-w", "json");
    const { kvs = [] }: { kvs?: { key: string; value: string }[] } = JSON.parse(text);
    return new Map(kvs.map(({ key, value }) => [atob(key), atob(value)]));
  }

  /** Runs etcdctl. @returns what it says. @throws Error when it fails */
  async control(...args: string[]): Promise<string> {
    const { success, stdout, stderr } = await new Deno.Command("etcdctl", {
      args: [`--endpoints=${this.urls.join(",")}`, ...args],
      env: { ETCDCTL_API: "3" },
    }).output();
    if (!success) throw new Error(`etcdctl ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
    return new TextDecoder().decode(stdout);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { process } of this.#members) await process.kill();
    Deno.removeSync(this.#directory, { recursive: true });
  }
}

function startMember(
  { client, peer, data }: Omit<Member, "process">,
  index: number,
  initial: string,
  directory: string,
): TestProcess {
  const listen = client.replace("localhost", "127.0.0.1");
  return new TestProcess(
    [
      EXECUTABLE,
      `--name=m${index}`,
      `--data-dir=${data}`,
      `--listen-client-urls=${listen}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=${initial}`,
      `--initial-cluster-token=${directory}`,
    ],
    { PATH: "/usr/bin:/bin", ...unsupported() },
    directory,
  );
}

function unsupported(): Record<string, string> {
  return Deno.build.arch === "aarch64" ? { ETCD_UNSUPPORTED_ARCH: "arm64" } : {};
}

/** A port of loopback that nobody listens on. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

async function healthy(url: string): Promise<void> {
  const end = performance.now() + 20_000;
  for (;;) {
    try {
      const response = await fetch(`${url}/health`);
      const { health }: { health: string } = await response.json();
      if (health === "true") return;
    } catch (error) {
      if (!(error instanceof TypeError) || performance.now() > end) throw error;
    }
    if (performance.now() > end) throw new Error(`Start etcd: ${url} did not become healthy`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
