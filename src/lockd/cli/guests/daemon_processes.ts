import { VIRTLOCKD } from "../../identity/identity.ts";
import type { Host } from "./host.ts";

/** A process that is a virtlockd: ours or libvirt's. */
export interface DaemonProcess {
  readonly pid: number;
  /** Letter of its state (proc_pid_status): R running, S sleeping, D waiting in the kernel, T stopped. */
  readonly state: string;
  /** User id of its owner. */
  readonly uid: string;
}

/** The daemons that run, by pid. Neither the commands of this program nor the helpers of a daemon are any. */
export function daemonProcesses(host: Host): DaemonProcess[] {
  return host.list("/proc").filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    const status = host.read(`/proc/${name}/status`);
    // One that has ended, and that nobody has waited for, holds nothing any more.
    const state = fact(status, "State") ?? "";
    if (fact(status, "Name") !== VIRTLOCKD.name || state === "Z" || state === "X") return [];
    const words = host.read(`/proc/${name}/cmdline`)?.split("\0") ?? [];
    const isOther = words.some((word) =>
      word.startsWith("internal-") || Object.hasOwn(VIRTLOCKD.commands, word)
    );
    if (isOther) return [];
    return [{ pid: Number(name), state, uid: fact(status, "Uid") ?? "" }];
  });
}

/** The daemon that the PID file names, if it runs. */
export function daemonOfPidFile(host: Host): DaemonProcess | undefined {
  const written = Number(host.read(host.places.pidFile) ?? NaN);
  return daemonProcesses(host).find(({ pid }) => pid === written);
}

/**
 * Whether two processes are of one host: not one of them in a container, nor with files of its own where the
 * daemon's sockets are.
 */
export function ofOneHost(host: Host, one: number, other: number): boolean {
  const run = host.places.adminSocket.slice(0, host.places.adminSocket.lastIndexOf("/"));
  const seen = (pid: number) =>
    [
      host.link(`/proc/${pid}/ns/pid`),
      host.link(`/proc/${pid}/ns/user`),
      host.identity(`/proc/${pid}/root${run}`),
    ]
      .join();
  return seen(one) === seen(other);
}

/** A field of /proc/PID/status. */
function fact(status: string | undefined, name: string): string | undefined {
  return new RegExp(`^${name}:\\s*(\\S+)`, "m").exec(status ?? "")?.[1];
}
