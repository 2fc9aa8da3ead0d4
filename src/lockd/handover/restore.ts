import { invariant } from "../../base/invariant.ts";
import { OWNER_ONLY } from "../../chassis/config/socket_role.ts";
import { VIRTLOCKD } from "../identity/identity.ts";
import { F_RDLCK, F_SETFL, F_UNLCK, F_WRLCK, O_NONBLOCK, O_RDWR } from "../../os/constants.ts";
import { emptyStatus, type Sys } from "../../os/sys.ts";
import { ESRCH, strerror } from "../../os/errno.ts";
import { identityOf } from "../lockspace/file_identity.ts";
import { identityOfOpen } from "../storage/open_identity.ts";
import { LOCK_LENGTH, LOCK_START, type LockKind } from "../lockspace/lock_file.ts";
import { shownLocks } from "../../os/shown_lock.ts";
import type { LockHandle } from "../lockspace/lock_handle.ts";
import {
  type HandedHandle,
  isMissing,
  type LockRecord,
  type LockState,
  reasonOf,
} from "../lockspace/lock_record.ts";
import { lockText } from "../lockspace/lock_text.ts";
import { type Owner, type OwnerKey, ownerKey } from "../lockspace/owner.ts";
import { type Resource, restoredResource } from "../lockspace/resource.ts";
import { GrantTrail } from "../lockspace/grant_trail.ts";
import { LockSession, speakFor } from "../programs/lock_program.ts";
import { LOCK_PROGRAM } from "../wire/lock_protocol.ts";
import type { RpcServer } from "../../chassis/rpc/server.ts";
import type { RestartState, ServerState } from "../restart/state.ts";
import { checkDescriptors } from "./check_descriptors.ts";
import type { Daemon } from "../daemon/daemon.ts";

/**
 * Puts a daemon that has just been built into the state that an earlier image handed over. The descriptors
 * become the daemon's.
 *
 * @throws RestartStateError when a descriptor of the state is not what it should be
 * @throws SystemError when the kernel refuses something all the same
 * @throws Error when the state contradicts itself
 */
export function restore(daemon: Daemon, state: RestartState): void {
  checkDescriptors(daemon.sys, state);
  const { virtlockd, admin } = state.servers;
  const connected = restoreServer(daemon, daemon.lockServer, virtlockd);
  if (admin !== undefined) restoreServer(daemon, daemon.adminServer, admin);
  const own = state.extension !== undefined;
  restoreLocks(daemon, state, own ? (owner) => owner : (owner) => connected.get(owner.pid) ?? owner);
  restoreTrails(daemon, virtlockd);
  const { dying = [], watched = [], released = [] } = state.extension ?? {};
  for (const process of watched) daemon.watch.resume(process);
  for (const parked of released) daemon.table.parked.park(parked);
  for (const holder of dying) {
    daemon.watch.resume({ ...holder, start: 0 });
    daemon.reaper.resume(holder);
  }
  watchConnected(daemon);
}

/** Needs the locks, which are restored behind the connections. */
function restoreTrails({ table, lockServer }: Daemon, { clients }: ServerState): void {
  const resources = new Map<number, Resource>();
  for (const resource of table.resources()) resources.set(resource.id, resource);
  const found = (ids: readonly number[] = []) => ids.flatMap((id) => resources.get(id) ?? []);
  for (const { id, extension } of clients) {
    const isLost = extension?.trailLost === true;
    if (!isLost && extension?.refused === undefined && extension?.granted === undefined) continue;
    const session = lockServer.clients.get(id)?.session(LOCK_PROGRAM);
    if (session instanceof LockSession) {
      session.trail = GrantTrail.of(found(extension.refused), found(extension.granted));
      session.trail.isLost = isLost;
    }
  }
}

/** Owners with a connection of their own have a process for sure, also where nothing was recorded of it. */
function watchConnected({ table, watch, log }: Daemon): void {
  const judged = new Set<OwnerKey>();
  for (const resource of table.resources()) {
    for (const { owner } of resource.holdings) {
      const key = ownerKey(owner);
      if (judged.has(key)) continue;
      const [connection] = watch.connections(key);
      const failure = connection === undefined ? undefined : watch.begin(owner);
      if (failure === undefined) judged.add(key);
      // Of one that has ended the locks go by themselves.
      if (failure !== undefined && failure.errno !== ESRCH) {
        log.error(
          `The owner of '${resource.name}' cannot be watched, its lock may stay after its guest has ended: ${failure.message}`,
        );
      }
    }
  }
}

function restoreLocks(daemon: Daemon, state: RestartState, known: (owner: Owner) => Owner): void {
  const { sys, table, guard, ledger } = daemon;
  for (const { path, resources } of state.lockspaces) {
    table.restoreLockspace(path);
    for (const { record, handle } of resources) {
      const restored = restoreHandle(daemon, record, handle);
      const holdings = record.holdings.map(({ owner, since }) => ({ owner: known(owner), since }));
      const { id, lockspace, name, path: file, shared, autocreate, regrant } = record;
      // Field by field: copying objects of any kind takes several times as long, and there may be thousands.
      const { handle: held, state: now } = restored;
      const parts = { id, lockspace, name, shared, autocreate, holdings, handle: held, state: now, regrant };
      table.restoreResource(restoredResource(parts, file));
    }
  }
  table.nextId = state.nextResourceId;
  const status = emptyStatus();
  for (const fd of state.extension?.parked ?? []) {
    sys.fstat(fd, status);
    ledger.own(fd, "parked");
    guard.adoptParked(fd, identityOf(status));
  }
}

/** What a lock is held by, and how it is by what the kernel says of that. */
function restoreHandle(
  { sys, ledger, log }: Daemon,
  record: LockRecord,
  handle: HandedHandle,
): { handle: LockHandle; state: LockState } {
  if (handle.kind === "none") {
    if (handle.place >= 0) ledger.own(handle.place, "lock");
    return { handle, state: record.state };
  }
  const { fd } = handle;
  const looked = identityOfOpen(sys, fd);
  const found = handle.lock === "unasked" ? kernelLock(sys, fd, record.shared) : { lock: handle.lock };
  const unseen = typeof looked === "number"
    ? `its file could not be looked at: ${strerror(-looked)}`
    : undefined;
  const trouble = reasonOf(record.state) ?? found.trouble ?? unseen;
  if (trouble !== undefined && !isMissing(record.state)) {
    log.error(`${lockText(record)} is in doubt: ${trouble}`);
  }
  ledger.own(fd, "lock");
  return {
    handle: {
      kind: "file",
      fd,
      identity: typeof looked === "number" ? identityOf(emptyStatus()) : looked,
      lock: found.lock,
    },
    state: trouble === undefined || isMissing(record.state)
      ? record.state
      : { kind: "doubtful", reason: trouble },
  };
}

/** How a descriptor taken over from libvirt's daemon holds its lock. It may itself have got it from us. */
function kernelLock(sys: Sys, fd: number, shared: boolean): { lock: LockKind; trouble?: string } {
  const shown = shownLocks(sys, fd).map(({ kind }) => kind);
  if (shown.includes("ofd")) return { lock: "ofd" };
  if (shown.includes("posix")) return { lock: "posix" };
  // One POSIX lock for two descriptors of a file is shown with one of them only.
  const found = { type: F_UNLCK, pid: 0 };
  const probed = sys.ofdProbe(fd, F_WRLCK, LOCK_START, LOCK_LENGTH, found);
  if (probed === 0 && found.type !== F_UNLCK && found.pid === sys.pid()) return { lock: "posix" };
  const locked = sys.ofdLock(fd, shared ? F_RDLCK : F_WRLCK, LOCK_START, LOCK_LENGTH);
  if (locked === 0) return { lock: "ofd" };
  return { lock: "ofd", trouble: `its kernel lock was missing and could not be taken: ${strerror(-locked)}` };
}

/**
 * @returns owners that are connected themselves, by the pid that they are registered with, as far as that is
 * one owner's only
 */
function restoreServer(daemon: Daemon, server: RpcServer, state: ServerState): ReadonlyMap<number, Owner> {
  const connected = new Map<number, Owner>();
  const ambiguous = new Set<number>();
  server.setLimits({ maxClients: state.maxClients, maxAnonymousClients: state.maxAnonymousClients });
  const role = VIRTLOCKD.sockets[server.ordinal];
  invariant(role !== undefined, `Server ${server.name} has no socket`);
  for (const { fd, unlinkPath } of state.listeners) {
    const path = daemon.sys.socketPath(fd);
    // An accept that waits would stop the daemon.
    daemon.sys.fcntl(fd, F_SETFL, O_NONBLOCK | O_RDWR);
    server.listen({
      fd,
      role,
      path: typeof path === "string" ? path : "",
      access: OWNER_ONLY,
      unlink: unlinkPath,
    });
  }
  for (const client of state.clients) {
    const connection = server.adopt({
      id: client.id,
      fd: client.fd,
      pidfd: client.extension?.pidfd ?? -1,
      connectedAt: client.connectedAt,
      unserved: client.extension?.unserved ?? { bytes: new Uint8Array(0), dropped: 0 },
      unsent: client.extension?.unsent ?? new Uint8Array(0),
    });
    const session = connection.session(LOCK_PROGRAM);
    if (!(session instanceof LockSession)) continue;
    session.restricted = client.restricted;
    if (client.owner === undefined) continue;
    // libvirt's daemon does not say in which pid namespace it means a pid.
    const { owner, uncertain } = client.extension === undefined
      ? daemon.namespaces.register(connection.peer, client.owner)
      : { owner: client.owner, uncertain: false };
    speakFor(daemon.watch, session, owner);
    if (uncertain) daemon.watch.leaveUnwatched(owner);
    if (!session.isHolder) continue;
    if (connected.has(owner.pid)) ambiguous.add(owner.pid);
    connected.set(owner.pid, owner);
  }
  server.nextClientId = state.nextClientId;
  for (const pid of ambiguous) connected.delete(pid);
  return connected;
}
