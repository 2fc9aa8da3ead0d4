import type { Cluster } from "../cluster/cluster_parts.ts";
import type { ManualRelease } from "../lockspace/manual_release.ts";
import type { HolderReaper } from "../lockspace/holder_reaper.ts";
import type { LockTable } from "../lockspace/lock_table.ts";
import type { Resource } from "../lockspace/resource.ts";
import { asProgram, type Peer, type Procedure, type Program } from "../../chassis/rpc/program.ts";
import { ErrorDomain, invalidArg, unsupportedFlags } from "../../chassis/wire/rpc_error.ts";
import {
  decodePageArgs,
  decodeReleaseArgs,
  encodePage,
  type Page,
  type PageArgs,
  STATUS_MAX_PAYLOAD,
  STATUS_PROGRAM,
  STATUS_VERSION,
  StatusProcedure,
} from "../wire/status_protocol.ts";
import { clientEntry, type ListedClient } from "./client_entry.ts";
import { lockEntry, type LockFacts } from "./lock_entry.ts";
import { releaseLock } from "./release.ts";
import { nextById, PageBuilder, pageLimit } from "./page.ts";
import type { StatusDocument } from "./status_document.ts";

/** A server as the status program sees it. */
export interface ListedServer {
  readonly name: string;
  /** By client id. */
  readonly clients: ReadonlyMap<number, ListedClient>;
}

/** What the status program reports on. */
export interface StatusParts {
  readonly table: Pick<LockTable, "lockspaces" | "isDying" | "ownedBy" | "settling">;
  readonly reaper: Pick<HolderReaper, "judge">;
  /** Whether a signal has stopped a process. */
  readonly stopped: LockFacts["stopped"];
  readonly manualRelease: Pick<ManualRelease, "release">;
  /** Undefined on a host that is in none. */
  readonly cluster: Pick<Cluster, "reachOf"> | undefined;
  /** In the order of the admin protocol. */
  servers(): readonly ListedServer[];
  status(): StatusDocument;
  /** All metrics in Prometheus' text format, at most a few MiB. */
  metrics(): string;
}

/** This daemon's own program on the admin socket. All but RELEASE only reads. */
export function statusProgram(parts: StatusParts): Program {
  return asProgram<Peer>({
    name: "status",
    number: STATUS_PROGRAM,
    version: STATUS_VERSION,
    maxPayload: STATUS_MAX_PAYLOAD,
    procedures: new Map([
      [StatusProcedure.GET_STATUS, paged("GetStatus", () => whole(parts.status()))],
      [StatusProcedure.LIST_LOCKS, paged("ListLocks", (args) => locksPage(parts, args))],
      [StatusProcedure.LIST_CLIENTS, paged("ListClients", (args) => clientsPage(parts, args))],
      [StatusProcedure.GET_METRICS, paged("GetMetrics", () => whole(parts.metrics()))],
      [StatusProcedure.RELEASE, {
        name: "Release",
        run: (peer, reader, reply) =>
          releaseLock(parts.manualRelease, peer, decodeReleaseArgs(reader), reply),
      }],
    ]),
    connect: (peer) => peer,
    disconnect: () => {},
  });
}

function paged(name: string, page: (args: PageArgs) => Page): Procedure<Peer> {
  return {
    name,
    run(_session, reader, reply) {
      const args = decodePageArgs(reader);
      if (args.flags !== 0) throw unsupportedFlags(ErrorDomain.ADMIN, args.flags, name);
      const made = page(args);
      reply.ok((writer) => encodePage(writer, made));
    },
  };
}

function whole(document: unknown): Page {
  return { json: JSON.stringify(document), next: "" };
}

function locksPage({ table, reaper, stopped, cluster }: StatusParts, { cursor, limit }: PageArgs): Page {
  const after = cursor === "" ? 0 : cursorNumber(cursor, cursor);
  const most = pageLimit(limit);
  const found = nextById(resources(table), ({ id }) => id, after, most + 1);
  const builder = new PageBuilder();
  const known = new Map<number, boolean>();
  const facts: LockFacts = {
    dying: (key) => table.isDying(key),
    judge: (owner) => reaper.judge(owner),
    // Once for all locks of a guest.
    stopped: (pid) => {
      const answer = known.get(pid) ?? stopped(pid);
      known.set(pid, answer);
      return answer;
    },
    settling: (resource) => table.settling(resource),
    reachOf: (path) => cluster?.reachOf(path),
  };
  let taken = 0;
  for (const resource of found.slice(0, most)) {
    if (builder.full) break;
    builder.add(lockEntry(resource, facts), String(resource.id));
    taken++;
  }
  return builder.page(taken < found.length);
}

function* resources(table: StatusParts["table"]): Generator<Resource> {
  for (const lockspace of table.lockspaces.values()) yield* lockspace.resources.values();
}

/** The cursor is `SERVER:ID`, the server by its position. */
function clientsPage(parts: StatusParts, { cursor, limit }: PageArgs): Page {
  const servers = parts.servers();
  const [first = "0", second = "0"] = cursor === "" ? [] : cursor.split(":");
  let at = cursorNumber(first, cursor);
  let after = cursorNumber(second, cursor);
  const builder = new PageBuilder();
  let room = pageLimit(limit);
  for (; at < servers.length; at++, after = 0) {
    const server = servers[at] as ListedServer;
    const found = nextById(server.clients.values(), ({ peer }) => peer.clientId, after, room + 1);
    for (const client of found) {
      if (room === 0 || builder.full) return builder.page(true);
      builder.add(clientEntry(server.name, client, parts.table), `${at}:${client.peer.clientId}`);
      room--;
    }
  }
  return builder.page(false);
}

function cursorNumber(digits: string, cursor: string): number {
  const number = /^\d{1,15}$/.test(digits) ? Number(digits) : NaN;
  if (Number.isNaN(number)) {
    throw invalidArg(ErrorDomain.ADMIN, `Cursor '${cursor}' is none that this program gave`);
  }
  return number;
}
