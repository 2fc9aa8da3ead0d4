import { ESRCH } from "../../os/errno.ts";
import type { EndedOwner } from "../lockspace/holder_reaper.ts";
import { type Owner, type OwnerKey, ownerKey } from "../lockspace/owner.ts";
import { processCommand } from "../../os/process_state.ts";
import type { LockTable } from "../lockspace/lock_table.ts";
import type { OwnerWatch } from "../lockspace/owner_watch.ts";
import type { PidNamespaces } from "../lockspace/pid_namespaces.ts";
import type { FileSys, ProcessSys } from "../../os/sys.ts";
import { mayReach } from "./socket_reach.ts";

/**
 * libvirt's daemons that start guests, by the name of their process (15 characters at most:
 * proc_pid_comm(5)).
 */
const GUEST_DAEMONS = /^(libvirtd|virt(qemu|xen|lxc|vz|vbox|bhyve|ch)d)$/;

/** The daemon, as far as it is asked. */
export interface BarePidParts {
  readonly sys:
    & Pick<FileSys, "open" | "read" | "pread" | "close" | "listDirectory">
    & Pick<ProcessSys, "uid">;
  readonly table: Pick<LockTable, "resources">;
  readonly watch: Pick<OwnerWatch, "begin" | "processOf">;
  readonly namespaces: Pick<PidNamespaces, "isInitial">;
  readonly lockServer: { readonly listeners: readonly { readonly path: string }[] };
}

/** What became of owners of whom only a pid was handed over. */
export interface BarePids {
  /** Their process is gone. */
  readonly dead: readonly EndedOwner[];
  /** Nothing tells whether it is. */
  readonly unjudged: readonly Owner[];
}

/**
 * Begins to watch owners that libvirt's daemon, or an older version of this one, has handed over by their
 * bare pid.
 *
 * Such a pid only means something where this daemon and libvirt's that started the guest are in the initial
 * pid namespace: then a pid that no process has is that of a guest that ended.
 */
export function watchBarePids(daemon: BarePidParts): BarePids {
  const bare = new Map<OwnerKey, Owner>();
  for (const { holdings } of daemon.table.resources()) {
    for (const { owner } of holdings) {
      if (daemon.watch.processOf(ownerKey(owner)) === undefined) bare.set(ownerKey(owner), owner);
    }
  }
  const owners = [...bare.values()];
  if (owners.length === 0 || !meansTheSame(daemon)) return { dead: [], unjudged: owners };
  const dead: EndedOwner[] = [];
  const unjudged: Owner[] = [];
  for (const owner of owners) {
    const failure = daemon.watch.begin(owner);
    const key = ownerKey(owner);
    if (failure?.errno === ESRCH) dead.push({ key, pid: owner.pid });
    else if (daemon.watch.processOf(key) === undefined) unjudged.push(owner);
  }
  return { dead, unjudged };
}

/**
 * Whether those of libvirt's daemons that may use this one call processes by the same numbers. Without one
 * running nobody can say.
 */
function meansTheSame({ sys, namespaces, lockServer }: BarePidParts): boolean {
  // Which of a user's processes use the daemon of a session cannot be told from others'.
  const names = sys.uid() === 0 ? sys.listDirectory("/proc") : [];
  if (typeof names === "number") return false;
  const paths = lockServer.listeners.map(({ path }) => path).filter((path) => path.startsWith("/"));
  const isClient = (pid: number) => paths.length === 0 || paths.some((path) => mayReach(sys, pid, path));
  const daemons = names.map(Number).filter((pid) =>
    pid > 0 && GUEST_DAEMONS.test(processCommand(sys, pid)) && isClient(pid)
  );
  return daemons.length > 0 && daemons.every((pid) => namespaces.isInitial(pid));
}
