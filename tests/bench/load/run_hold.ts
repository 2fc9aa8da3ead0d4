import type { Sys } from "../../../src/os/sys.ts";
import { Client } from "./client.ts";
import { acquireFrame, lockspaceFrame, registerFrame } from "./frames.ts";
import { Latencies } from "./latencies.ts";
import type { HoldResult, HoldTask, Target } from "./task.ts";

/** Owners of holding clients begin here: others than those of the load. */
const FIRST_OWNER = 10_000;

/** Connects and registers clients; each is an owner of its own. */
export function connectAll(sys: Sys, target: Target, count: number): Client[] {
  return Array.from({ length: count }, (_, index) => {
    const client = new Client(sys, target.socket);
    client.call(registerFrame(FIRST_OWNER + index));
    return client;
  });
}

/** Lets each client take locks; `latencies` gets the time of each. */
export function acquireAll(
  sys: Sys,
  target: Target,
  clients: readonly Client[],
  locks: number,
  latencies: Latencies,
): void {
  clients[0]?.call(lockspaceFrame(target.lockspace));
  clients.forEach((client, index) => {
    for (let lock = 0; lock < locks; lock++) {
      const frame = acquireFrame(target.lockspace, `held-${index}-${lock}`);
      const started = sys.monotonic();
      client.call(frame);
      latencies.add(sys.monotonic() - started);
    }
  });
}

/** Carries a {@link HoldTask} out as far as its answer. The connections stay open until the process ends. */
export function runHold(sys: Sys, target: Target, task: HoldTask): HoldResult {
  const begun = sys.monotonic();
  const clients = connectAll(sys, target, task.clients);
  const connected = sys.monotonic();
  const latencies = new Latencies();
  acquireAll(sys, target, clients, task.locks, latencies);
  return {
    connect: connected - begun,
    acquire: sys.monotonic() - connected,
    latency: latencies.summary(),
  };
}
