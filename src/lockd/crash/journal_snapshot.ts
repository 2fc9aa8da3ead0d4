import { VIRTLOCKD } from "../identity/identity.ts";
import { endedOperation, type LockRecorder, type WantedObject } from "../journal/lock_recorder.ts";
import type { HolderReaper } from "../lockspace/holder_reaper.ts";
import type { LockTable } from "../lockspace/lock_table.ts";
import { clientKind } from "../journal/slots.ts";
import { JOURNAL_NAME } from "../journal/descriptor_names.ts";
import { isMissing } from "../lockspace/lock_record.ts";
import type { Operation } from "../journal/operations.ts";
import { LockSession } from "../programs/lock_program.ts";
import { socketUnit } from "../../chassis/config/socket_role.ts";
import type { Connection } from "../../chassis/rpc/connection.ts";
import type { Exchange } from "../../chassis/rpc/exchange.ts";
import { LOCK_PROGRAM } from "../wire/lock_protocol.ts";
import type { Daemon } from "../daemon/daemon.ts";

/** Names under which systemd hands listening sockets over, by ordinal of the server. */
export const LISTENER_NAMES: readonly string[] = VIRTLOCKD.sockets.map((role) =>
  socketUnit(VIRTLOCKD.name, role)
);

/** A client of any server, as far as the journal has it. */
export type RecordedClient =
  & Pick<Connection, "key" | "unsettled" | "unsent" | "session">
  & { readonly peer: Pick<Connection["peer"], "pid" | "uid" | "gid" | "connectedAt"> };

/** What the journal records of a daemon. */
export interface RecordedParts {
  readonly exchange: Pick<Exchange, "turn" | "lastReply">;
  readonly table: Pick<LockTable, "lockspaces" | "resources" | "parked" | "nextId">;
  readonly reaper: Pick<HolderReaper, "dying" | "ended">;
  readonly servers: readonly {
    readonly ordinal: number;
    readonly nextClientId: number;
    readonly clients: ReadonlyMap<number, RecordedClient>;
  }[];
}

/**
 * The daemon's whole state, as the journal writes it: one after the other, because there may be very many.
 * Changes nothing.
 *
 * It must come to the same as what the recorded operations add up to: the test of this file compares the two.
 */
export function* journalSnapshot(
  daemon: RecordedParts,
  recorder: LockRecorder,
  carried: unknown,
): Generator<Operation> {
  const { exchange, table, reaper, servers } = daemon;
  yield {
    op: "snapshot",
    turn: exchange.turn,
    reply: exchange.lastReply.number,
    nextResource: table.nextId,
    nextClient: servers.map((server) => server.nextClientId),
  };
  yield { op: "carried", state: carried };
  for (const { path } of table.lockspaces.values()) yield { op: "lockspace", path };
  for (const resource of table.resources()) yield { op: "grant", ...recorder.journaledLock(resource) };
  for (const parked of table.parked.all()) yield { op: "parked", ...recorder.parkedRecord(parked) };
  for (const server of servers) {
    for (const client of server.clients.values()) {
      yield* clientOperations(server.ordinal, client, recorder, exchange);
    }
  }
  for (const { pid, key, since, killed } of reaper.dying) {
    yield { op: "dying", pid, key, since, killed, ...recorder.slot("dying holder", pid) };
  }
  for (const owner of reaper.ended) yield endedOperation(owner);
}

function* clientOperations(
  ordinal: number,
  client: RecordedClient,
  recorder: LockRecorder,
  { turn, lastReply }: RecordedParts["exchange"],
): Generator<Operation> {
  const { key, peer } = client;
  const { pid, uid, gid, connectedAt: since } = peer;
  yield { op: "client", key, pid, uid, gid, since, ...recorder.slot(clientKind(ordinal), key) };
  const session = client.session(LOCK_PROGRAM);
  if (session instanceof LockSession) {
    if (session.owner !== undefined) {
      yield { op: "owner", key, owner: recorder.ownerRecord(session.owner) };
    }
    if (session.restricted) yield { op: "restricted", key };
  }
  // Without a store no connection outlives the process.
  if (!recorder.log.keepsDescriptors) return;
  const { bytes, dropped } = client.unsettled;
  if (bytes.length + dropped > 0) yield { op: "input", key, bytes, dropped, turn };
  const output = client.unsent;
  if (output.length > 0) yield { op: "output", key, bytes: output, reply: lastReply.number, turn: 0, end: 0 };
}

/** Everything that the service manager should keep, except what has a name of its own. */
export function objectsToStore(daemon: Daemon): WantedObject[] {
  const objects: WantedObject[] = [];
  for (const server of daemon.servers) {
    const kind = clientKind(server.ordinal);
    for (const { fd, key } of server.clients.values()) objects.push({ kind, id: key, fd });
  }
  for (const { id, handle, state } of daemon.table.resources()) {
    // Of one that is missing there is no lock that could be kept.
    if (handle.kind === "file" && !isMissing(state)) objects.push({ kind: "lock", id, fd: handle.fd });
  }
  for (const { pid, pidfd } of daemon.reaper.dying) {
    objects.push({ kind: "dying holder", id: pid, fd: pidfd });
  }
  return objects;
}

/** Journal and listening sockets, with the names under which the next daemon looks for them. */
export function namedToStore(daemon: Daemon, recorder: LockRecorder): { name: string; fd: number }[] {
  return [{ name: JOURNAL_NAME, fd: recorder.log.fd }, ...listenersToStore(daemon)];
}

/** The listening sockets of namedToStore(): those that the service manager made it keeps by itself. */
export function listenersToStore(daemon: Daemon): { name: string; fd: number }[] {
  const named: { name: string; fd: number }[] = [];
  for (const server of daemon.servers) {
    const name = LISTENER_NAMES[server.ordinal];
    for (const { fd, unlink } of server.listeners) if (unlink && name !== undefined) named.push({ name, fd });
  }
  return named;
}
