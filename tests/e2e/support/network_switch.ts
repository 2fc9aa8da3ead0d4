import { until } from "../../support/until.ts";
import { host, runOk } from "./command.ts";
import { Keeper } from "./keeper.ts";

// A bridge without an address of its own has that of a port, and another one when that port has gone.
const SCRIPT = `
exec unshare --net -- sh -c '
  ip link add bridge address 02:00:00:00:00:01 type bridge
  ip link set bridge up
  ip link set lo up
  echo $$
  cat >/dev/null
'
`;

/** A network of its own that machines are plugged into, and that outlives each of them. */
export class NetworkSwitch implements AsyncDisposable {
  readonly #keeper: Keeper;

  private constructor(keeper: Keeper) {
    this.#keeper = keeper;
  }

  /** Makes one. @param addresses its own, for what runs beside the machines */
  static async create(addresses: readonly string[]): Promise<NetworkSwitch> {
    const network = new NetworkSwitch(await Keeper.start(SCRIPT, []));
    for (const address of addresses) {
      await runOk(host, [...network.launcher, "ip", "address", "add", `${address}/24`, "dev", "bridge"]);
    }
    return network;
  }

  /** Command that runs another one in this network, as its last arguments. */
  get launcher(): readonly string[] {
    return enter(this.#keeper.said);
  }

  /** Gives a machine, by the pid of its init, an address in this network. */
  async plug(init: number, address: string): Promise<void> {
    const own = await Deno.readLink("/proc/self/ns/net");
    // Its init begins in the network of this host.
    await until("the machine's network", async () => await Deno.readLink(`/proc/${init}/ns/net`) !== own);
    const port = `port${init}`;
    const peer = ["type", "veth", "peer", "name", port, "netns", this.#keeper.said];
    await runOk(host, ["ip", "link", "add", "lab", "netns", String(init), ...peer]);
    await runOk(host, [...this.launcher, "ip", "link", "set", port, "master", "bridge", "up"]);
    const inside = enter(String(init));
    await runOk(host, [...inside, "ip", "address", "add", `${address}/24`, "dev", "lab"]);
    for (const name of ["lab", "lo"]) await runOk(host, [...inside, "ip", "link", "set", name, "up"]);
  }

  /** Cuts off a machine, by the pid of its init, until it is switched off and plugged in again. */
  async cut(init: number): Promise<void> {
    await runOk(host, [...this.launcher, "ip", "link", "set", `port${init}`, "down"]);
  }

  /** Takes it down, when nothing runs in it any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#keeper[Symbol.asyncDispose]();
  }
}

function enter(pid: string): string[] {
  return ["nsenter", `--target=${pid}`, "--net", "--"];
}
