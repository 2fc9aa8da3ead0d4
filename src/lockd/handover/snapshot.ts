import type { Connection } from "../../chassis/rpc/connection.ts";
import type { RpcServer } from "../../chassis/rpc/server.ts";
import { LOCK_PROGRAM } from "../wire/lock_protocol.ts";
import { LockSession } from "../programs/lock_program.ts";
import type { ClientState, DaemonExtension, RestartState, ServerState } from "../restart/state.ts";
import type { Daemon } from "../daemon/daemon.ts";

/** What the next image must know, and who it is for. */
export interface SnapshotOptions {
  readonly pid: number;
  /** Absent in a document for libvirt's daemon. */
  readonly extension: DaemonExtension | undefined;
}

/** The daemon's whole state at this moment. Changes nothing. */
export function snapshot(daemon: Daemon, { pid, extension }: SnapshotOptions): RestartState {
  const own = extension !== undefined;
  return {
    pid,
    servers: {
      virtlockd: serverState(daemon.lockServer, own),
      admin: serverState(daemon.adminServer, own),
    },
    lockspaces: [...daemon.table.lockspaces.values()].map((lockspace) => ({
      path: lockspace.path,
      resources: [...lockspace.resources.values()].map((record) => ({ record, handle: record.handle })),
    })),
    nextResourceId: daemon.table.nextId,
    ...(extension === undefined ? {} : { extension }),
  };
}

function serverState(server: RpcServer, own: boolean): ServerState {
  return {
    maxClients: server.limits.maxClients,
    maxAnonymousClients: server.limits.maxAnonymousClients,
    nextClientId: server.nextClientId,
    listeners: server.listeners.map(({ fd, unlink }) => ({ fd, unlinkPath: unlink })),
    clients: [...server.clients.values()].map((connection) => clientState(connection, own)),
  };
}

function clientState(connection: Connection, own: boolean): ClientState {
  const { peer } = connection;
  const session = connection.session(LOCK_PROGRAM);
  const lock = session instanceof LockSession ? session : undefined;
  return {
    id: peer.clientId,
    fd: connection.fd,
    connectedAt: peer.connectedAt,
    restricted: lock?.restricted ?? false,
    ...(lock?.owner === undefined ? {} : { owner: lock.owner }),
    ...(own
      ? {
        extension: {
          unserved: connection.unserved,
          unsent: connection.unsent,
          peer: { pid: peer.pid, uid: peer.uid, gid: peer.gid },
          pidfd: peer.pidfd,
          ...lock?.trail?.ids,
          ...(lock?.trail?.isLost === true ? { trailLost: true } as const : {}),
        },
      }
      : {}),
  };
}
