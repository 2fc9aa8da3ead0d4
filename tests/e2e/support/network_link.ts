import { host, runOk } from "./command.ts";
import type { Machine } from "./nspawn.ts";

/** Addresses of the two ends of a {@link linkMachines}. */
export const ADDRESSES = ["10.77.0.1", "10.77.0.2"] as const;

/** Connects two machines by a cable, which goes with them. */
export async function linkMachines(machines: readonly [Machine, Machine]): Promise<void> {
  const [one, two] = machines;
  const names = [`lab${one.init}`, `lab${two.init}`] as const;
  const pair = [
    "netns",
    String(two.init),
    "type",
    "veth",
    "peer",
    "name",
    names[0],
    "netns",
    String(one.init),
  ];
  await runOk(host, ["ip", "link", "add", names[1], ...pair]);
  for (const [end, { init }] of machines.entries()) {
    const ip = (...args: string[]) => runOk(host, ["nsenter", `--target=${init}`, "--net", "ip", ...args]);
    const name = names[end] ?? "";
    await ip("address", "add", `${ADDRESSES[end]}/24`, "dev", name);
    await ip("link", "set", name, "up");
    await ip("link", "set", "lo", "up");
  }
}
