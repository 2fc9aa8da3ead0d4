import { ownerKey } from "../lockspace/owner.ts";
import type { LockTable } from "../lockspace/lock_table.ts";
import type { Peer } from "../../chassis/rpc/program.ts";
import { LOCK_PROGRAM } from "../wire/lock_protocol.ts";
import { LockSession } from "../programs/lock_program.ts";
import type { ClientEntry } from "./status_document.ts";

/** A client as the status program sees it. */
export interface ListedClient {
  readonly peer: Peer;
  /** Its session of a program; undefined when its server does not offer that. */
  session(program: number): unknown;
}

/** A client as LIST_CLIENTS shows it. */
export function clientEntry(
  server: string,
  client: ListedClient,
  table: Pick<LockTable, "ownedBy">,
): ClientEntry {
  const { peer } = client;
  const entry: ClientEntry = {
    server,
    id: peer.clientId,
    connectedMs: peer.connectedAt,
    connected: peer.connectedAt,
    pid: peer.pid,
    uid: peer.uid,
    gid: peer.gid,
    ...peer.security === "" ? {} : { security: peer.security },
  };
  const lock = client.session(LOCK_PROGRAM);
  if (!(lock instanceof LockSession)) return entry;
  const { owner } = lock;
  if (owner === undefined) return { ...entry, restricted: lock.restricted };
  const { name, uuid, id, pid } = owner;
  return {
    ...entry,
    owner: { domain: name, uuid, id, pid },
    restricted: lock.restricted,
    locks: lock.isHolder ? table.ownedBy(ownerKey(owner)).length : 0,
  };
}
