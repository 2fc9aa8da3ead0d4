import { host, runOk } from "../e2e/support/command.ts";

const SUBNET = "10.213.0";
/** Where the bridge is: it reaches everybody, and nothing is ever cut between it and a node. */
const HUB = 254;

interface Node {
  readonly name: string;
  readonly address: string;
  readonly keeper: Deno.ChildProcess;
}

/**
 * Machines that share one wire: network namespaces on a bridge, which is in a namespace too, so that nothing
 * of the host's own network is touched. What one of them hears of another can be cut. Needs root and nft.
 */
export class Network implements AsyncDisposable {
  readonly #nodes = new Map<string, Node>();
  readonly #hub: Node;
  /** What is cut, as `FROM TO`, and how often. */
  readonly #cuts = new Map<string, number>();

  private constructor(hub: Node) {
    this.#hub = hub;
  }

  /** Makes one with these nodes. */
  static async create(names: readonly string[]): Promise<Network> {
    const network = new Network(await Network.#node("hub", HUB));
    try {
      const hub = network.launcher;
      await runOk(host, [...hub, "ip", "link", "add", "wire", "type", "bridge"]);
      await runOk(host, [...hub, "ip", "addr", "add", `${SUBNET}.${HUB}/24`, "dev", "wire"]);
      await runOk(host, [...hub, "ip", "link", "set", "wire", "up"]);
      for (const [index, name] of names.entries()) await network.#attach(name, index + 1);
      return network;
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
  }

  static async #node(name: string, number: number): Promise<Node> {
    const keeper = new Deno.Command("unshare", {
      args: ["--net", "--", "cat"],
      stdin: "piped",
      stdout: "null",
    }).spawn();
    const own = await Deno.readLink("/proc/self/ns/net");
    while (await namespaceOf(keeper.pid) === own) await new Promise((resolve) => setTimeout(resolve, 5));
    await runOk(host, [...enter(keeper.pid), "ip", "link", "set", "lo", "up"]);
    return { name, address: `${SUBNET}.${number}`, keeper };
  }

  /** Command that runs another one, as its last arguments, where all nodes can be reached. */
  get launcher(): readonly string[] {
    return enter(this.#hub.keeper.pid);
  }

  /** A node's address, and the command that runs another one there. */
  node(name: string): { readonly address: string; readonly launcher: readonly string[] } {
    const { address, keeper } = this.#of(name);
    return { address, launcher: enter(keeper.pid) };
  }

  /** From now on `to` hears nothing of `from`, until it is {@link heal}ed as often. */
  async cut(from: string, to: string): Promise<void> {
    const key = `${from} ${to}`;
    this.#cuts.set(key, (this.#cuts.get(key) ?? 0) + 1);
    await this.#apply(to);
  }

  /** Undoes one {@link cut}. */
  async heal(from: string, to: string): Promise<void> {
    const key = `${from} ${to}`;
    const left = (this.#cuts.get(key) ?? 0) - 1;
    if (left > 0) this.#cuts.set(key, left);
    else this.#cuts.delete(key);
    await this.#apply(to);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { keeper } of [...this.#nodes.values(), this.#hub]) {
      keeper.kill("SIGKILL");
      await keeper.stdin.abort();
      await keeper.status;
    }
  }

  async #attach(name: string, number: number): Promise<void> {
    const node = await Network.#node(name, number);
    this.#nodes.set(name, node);
    const pids = [String(node.keeper.pid), String(this.#hub.keeper.pid)] as const;
    const port = `port${number}`;
    const pair = ["type", "veth", "peer", "name", port, "netns", pids[1]];
    await runOk(host, ["ip", "link", "add", "wire", "netns", pids[0], ...pair]);
    await runOk(host, [...this.launcher, "ip", "link", "set", port, "master", "wire", "up"]);
    const inside = enter(node.keeper.pid);
    await runOk(host, [...inside, "ip", "addr", "add", `${node.address}/24`, "dev", "wire"]);
    await runOk(host, [...inside, "ip", "link", "set", "wire", "up"]);
  }

  /** Puts a node's rules anew, in one step. */
  async #apply(to: string): Promise<void> {
    const { keeper } = this.#of(to);
    const from = [...this.#cuts.keys()].map((key) => key.split(" ")).filter((cut) => cut[1] === to);
    const rules = from.map(([name = ""]) => `ip saddr ${this.#of(name).address} drop\n`).join("");
    const chain = `chain heard { type filter hook input priority 0; policy accept;\n${rules}}\n`;
    const text = `table inet nemesis {}\ndelete table inet nemesis\ntable inet nemesis { ${chain}}\n`;
    await runOk(host, [...enter(keeper.pid), "nft", "-f", "-"], { input: text });
  }

  #of(name: string): Node {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new Error(`The network has no node ${name}`);
    return node;
  }
}

function enter(pid: number): string[] {
  return ["nsenter", `--net=/proc/${pid}/ns/net`, "--"];
}

async function namespaceOf(pid: number): Promise<string> {
  return await Deno.readLink(`/proc/${pid}/ns/net`);
}
