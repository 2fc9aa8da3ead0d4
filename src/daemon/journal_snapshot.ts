import { clientKind, type Journal, type WantedObject } from "../journal/journal.ts";
import { JOURNAL_NAME } from "../journal/descriptor_names.ts";
import type { Operation } from "../journal/operations.ts";
import type { Orphan } from "../journal/orphan_holders.ts";
import { LockSession } from "../programs/lock_program.ts";
import type { Connection } from "../rpc/connection.ts";
import { LOCK_PROGRAM } from "../wire/lock_protocol.ts";
import type { Daemon } from "./daemon.ts";

/** Names under which systemd hands listening sockets over, by ordinal of the server. */
export const LISTENER_NAMES = ["virtlockd.socket", "virtlockd-admin.socket"] as const;

/** The daemon's whole state at this moment, as the journal writes it. Changes nothing. */
export function journalSnapshot(
  daemon: Daemon,
  journal: Journal,
  orphans: readonly Orphan[],
  carried: unknown,
): Operation[] {
  const { exchange, table, reaper, servers } = daemon;
  const operations: Operation[] = [
    {
      op: "snapshot",
      turn: exchange.turn,
      reply: exchange.reply,
      nextResource: table.nextId,
      nextClient: servers.map((server) => server.nextClientId),
    },
    { op: "carried", state: carried },
  ];
  for (const { path } of table.lockspaces.values()) operations.push({ op: "lockspace", path });
  for (const resource of table.resources()) {
    operations.push({ op: "grant", ...journal.resourceRecord(resource) });
  }
  for (const server of servers) {
    for (const client of server.clients.values()) {
      operations.push(...clientOperations(server.ordinal, client, journal, exchange));
    }
  }
  for (const { pid, start } of orphans) operations.push({ op: "orphan", pid, start });
  for (const { pid, since, killed } of reaper.dying) {
    operations.push({ op: "dying", pid, since, killed, ...journal.slot("dying holder", pid) });
  }
  return operations;
}

function clientOperations(
  ordinal: number,
  client: Connection,
  journal: Journal,
  { turn, reply }: { turn: number; reply: number },
): Operation[] {
  const { key, peer } = client;
  const { pid, uid, gid, connectedAt: since } = peer;
  const operations: Operation[] = [
    { op: "client", key, pid, uid, gid, since, ...journal.slot(clientKind(ordinal), key) },
  ];
  const session = client.session(LOCK_PROGRAM);
  if (session instanceof LockSession) {
    if (session.owner !== undefined) {
      operations.push({ op: "owner", key, owner: journal.ownerRecord(session.owner) });
    }
    if (session.restricted) operations.push({ op: "restricted", key });
  }
  const { bytes, dropped } = client.unsettled;
  if (bytes.length + dropped > 0) {
    operations.push({ op: "input", key, bytes: bytes.toBase64(), dropped, turn });
  }
  const output = client.unsent;
  if (output.length > 0) {
    operations.push({ op: "output", key, bytes: output.toBase64(), reply, turn: 0, end: 0 });
  }
  return operations;
}

/** Everything that the service manager should keep, except what has a name of its own. */
export function objectsToStore(daemon: Daemon): WantedObject[] {
  const objects: WantedObject[] = [];
  for (const server of daemon.servers) {
    const kind = clientKind(server.ordinal);
    for (const { fd, key } of server.clients.values()) objects.push({ kind, id: key, fd });
  }
  for (const { id, fd } of daemon.table.resources()) objects.push({ kind: "lock", id, fd });
  for (const { pid, pidfd } of daemon.reaper.dying) {
    objects.push({ kind: "dying holder", id: pid, fd: pidfd });
  }
  return objects;
}

/** Journal and listening sockets, with the names under which the next daemon looks for them. */
export function namedToStore(daemon: Daemon, journal: Journal): { name: string; fd: number }[] {
  const named = [{ name: JOURNAL_NAME, fd: journal.fd }];
  for (const server of daemon.servers) {
    const name = LISTENER_NAMES[server.ordinal];
    // A socket that the service manager made it keeps by itself.
    for (const { fd, unlink } of server.listeners) if (unlink && name !== undefined) named.push({ name, fd });
  }
  return named;
}
