import type { Peer, Reply } from "../../chassis/rpc/program.ts";
import {
  ErrorDomain,
  invalidArg,
  operationDenied,
  type RpcFailure,
  unsupportedFlags,
} from "../../chassis/wire/rpc_error.ts";
import { parseUuid } from "../../chassis/wire/uuid.ts";
import type { HolderReaper, Judgement } from "../lockspace/holder_reaper.ts";
import type { LockTable } from "../lockspace/lock_table.ts";
import { type Owner, type OwnerKey, ownerKey, ownerText } from "../lockspace/owner.ts";
import type { Resource } from "../lockspace/resource.ts";
import { refusalText } from "../programs/lock_failure.ts";
import { encodePage, RELEASE_FORCE, type ReleaseArgs } from "../wire/status_protocol.ts";
import type { ReleaseDocument } from "./status_document.ts";

/** Told of a lock that an administrator has released. */
export interface ReleaseObserver {
  /** @param by the process that asked for it */
  discharged(resource: Resource, owner: Owner, state: Judgement, by: Peer): void;
}

/** What releasing by order needs. */
export interface ReleaseParts {
  readonly table: Pick<LockTable, "lockspaces" | "discharge">;
  readonly reaper: Pick<HolderReaper, "judge">;
  readonly observer: ReleaseObserver;
}

/**
 * RELEASE: an administrator frees a lock that nobody else will. Of an owner that is known to live only with
 * the name of its guest: the disk has two writers then, if the guest goes on.
 *
 * @throws RpcFailure
 */
export function releaseLock(parts: ReleaseParts, args: ReleaseArgs, by: Peer, reply: Reply): void {
  const { resource, owner } = chosen(parts.table, args);
  const state = parts.reaper.judge(owner);
  const refusal = refuse(resource, owner, state, args);
  if (refusal !== undefined) throw refusal;
  const { lockspace, name, path } = resource;
  parts.table.discharge(resource, ownerKey(owner), (failure) => {
    if (failure !== undefined) return reply.fail(denied(`Release ${path}: ${refusalText(failure)}`));
    parts.observer.discharged(resource, owner, state, by);
    const document: ReleaseDocument = {
      lockspace,
      resource: name,
      path,
      owner: { domain: owner.name, uuid: owner.uuid, pid: owner.pid },
      ownerState: state.kind,
      shared: resource.holdings.length > 0,
    };
    reply.ok((writer) => encodePage(writer, { json: JSON.stringify(document), next: "" }));
  });
}

function chosen(table: ReleaseParts["table"], args: ReleaseArgs): { resource: Resource; owner: Owner } {
  if ((args.flags & ~RELEASE_FORCE) !== 0) {
    throw unsupportedFlags(ErrorDomain.ADMIN, args.flags, "Release");
  }
  const resource = table.lockspaces.get(args.lockspace)?.resources.get(args.resource);
  if (resource === undefined) {
    const where = args.lockspace === "" ? "" : ` in ${args.lockspace}`;
    throw invalidArg(ErrorDomain.ADMIN, `There is no lock on ${args.resource}${where}`);
  }
  const owners = new Map<OwnerKey, Owner>(resource.holdings.map(({ owner }) => [ownerKey(owner), owner]));
  const uuid = args.uuid === "" ? undefined : spelled(args.uuid);
  const candidates = [...owners.values()].filter((owner) =>
    uuid === undefined || spelled(owner.uuid) === uuid
  );
  const [owner, another] = candidates;
  if (owner === undefined) {
    throw invalidArg(
      ErrorDomain.ADMIN,
      `No guest with uuid ${args.uuid} holds ${resource.path}; it is held by ${listed(owners.values())}`,
    );
  }
  if (another !== undefined) {
    throw invalidArg(
      ErrorDomain.ADMIN,
      `${resource.path} is held by several, choose one by its uuid: ${listed(candidates)}`,
    );
  }
  return { resource, owner };
}

function refuse(
  { path }: Resource,
  owner: Owner,
  state: Judgement,
  { flags, guest }: ReleaseArgs,
): RpcFailure | undefined {
  if (state.kind === "unjudged") return undefined;
  const force = `--force --guest '${owner.name}' frees it now`;
  if ((flags & RELEASE_FORCE) === 0) {
    return denied(
      state.kind === "alive"
        ? `${ownerText(owner)} holds ${path} and lives${seenAs(owner, state.pid)}: ` +
          `end the guest, and its lock goes by itself; ${force}`
        : `${
          ownerText(owner)
        } has ended, and its lock on ${path} goes as soon as its last writes are over; ${force}`,
    );
  }
  if (guest === owner.name) return undefined;
  return denied(`${path} is held by ${ownerText(owner)}, not by the guest that --guest names, '${guest}'`);
}

/** An owner in another pid namespace has another pid there. */
function seenAs({ pid }: Owner, seen: number): string {
  return seen === pid ? "" : ` as process ${seen} of this host`;
}

function listed(owners: Iterable<Owner>): string {
  return [...owners].map(ownerText).join(", ");
}

/** One spelling for all. */
function spelled(uuid: string): string {
  return parseUuid(uuid)?.join() ?? uuid;
}

function denied(message: string): RpcFailure {
  return operationDenied(ErrorDomain.ADMIN, message);
}
