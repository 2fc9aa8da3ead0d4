// A host of storage that execs itself as the daemon does on SIGUSR1; tests/support/storage_exec.ts drives it.
//
//   storage_exec_main.ts A B
//       locks A/held, says "helper PID"; on a line of input it asks for A/late, says what came of it, and
//       execs itself
//   storage_exec_main.ts A B HELD SPAWNER
//       the next image: says "image PID", and locks B/x
import { F_SETFD } from "../../src/os/constants.ts";
import { linuxSys } from "../../src/os/linux.ts";
import { ListedMounts } from "./storage_fixture.ts";
import { StorageHost } from "./storage_host.ts";

const [a = "", b = "", ...inherited] = Deno.args;
const mounts = Deno.env.get("STORAGE_MOUNTS");
const sys = mounts === undefined ? linuxSys() : new ListedMounts(mounts).sys;
const line = new Uint8Array(100);

if (inherited.length === 0) {
  const host = new StorageHost(sys);
  const { fd } = host.granted(`${a}/held`);
  console.log(`helper ${host.helper(a)}`);
  Deno.stdin.readSync(line);
  host.limit = 50;
  console.log(`late ${host.lock(`${a}/late`).kind}`);
  const spawner = host.storage.handover ?? -1;
  for (const kept of [fd, spawner]) sys.fcntl(kept, F_SETFD, 0);
  const self = [
    "deno",
    "run",
    "-A",
    "--no-check",
    new URL(import.meta.url).pathname,
    a,
    b,
    `${fd}`,
    `${spawner}`,
  ];
  const env = Object.entries(Deno.env.toObject()).map(([name, value]) => `${name}=${value}`);
  throw new Error(`execve: ${sys.execve(Deno.execPath(), self, env)}`);
}

console.log(`image ${Deno.pid}`);
const host = new StorageHost(sys, Number(inherited[1]));
console.log(`other ${host.lock(`${b}/x`).kind}`);
Deno.stdin.readSync(line);
