import type { HolderReaper } from "../lockspace/holder_reaper.ts";
import type { LockTable } from "../lockspace/lock_table.ts";
import { isOwnersProcess, NOBODY, type Owner } from "../lockspace/owner.ts";
import { GrantTrail } from "../lockspace/grant_trail.ts";
import type { OwnerWatch } from "../lockspace/owner_watch.ts";
import type { PidNamespaces, Registration } from "../lockspace/pid_namespaces.ts";
import type { Refusal } from "../lockspace/refusal.ts";
import { asProgram, type Peer, type Procedure, type Program, type Reply } from "../../chassis/rpc/program.ts";
import {
  ACQUIRE_AUTOCREATE,
  ACQUIRE_SHARED,
  decodeCreateLockspace,
  decodeNew,
  decodeRegister,
  decodeResource,
  decodeRestrict,
  LOCK_MAX_PAYLOAD,
  LOCK_PROGRAM,
  LOCK_VERSION,
  LockProcedure,
} from "../wire/lock_protocol.ts";
import {
  ErrorDomain,
  operationDenied,
  operationInvalid,
  unsupportedFlags,
} from "../../chassis/wire/rpc_error.ts";
import type { XdrReader } from "../../chassis/wire/xdr_reader.ts";
import { SystemError } from "../../os/system_error.ts";
import { lockFailure } from "./lock_failure.ts";

/**
 * Number of the call right behind REGISTER. libvirt counts the calls of each connection from 0, so before it
 * nothing was granted over that.
 */
const FIRST_ASK = 1;

/** A connection's state in the lock program. */
export class LockSession {
  readonly peer: Peer;
  /** Who it speaks for; undefined until REGISTER. */
  owner: Owner | undefined;
  restricted = false;
  ended = false;
  /** What it was granted; undefined before it asks for anything. */
  trail: GrantTrail | undefined;

  constructor(peer: Peer) {
    this.peer = peer;
  }

  /** Whether the connecting process itself is the owner: then its locks end with the connection. */
  get isHolder(): boolean {
    return this.owner !== undefined && isOwnersProcess(this.owner, this.peer.pid);
  }
}

/** Told of changes of a session that must survive a restart. */
export interface LockSessionObserver {
  registered(session: LockSession): void;
  restricted(session: LockSession): void;
}

/** What the lock program works on. */
export interface LockProgramParts {
  readonly table: Pick<
    LockTable,
    | "newLockspace"
    | "ensureLockspace"
    | "createResource"
    | "deleteResource"
    | "acquire"
    | "release"
    | "abandon"
  >;
  readonly reaper: Pick<HolderReaper, "end" | "granted">;
  readonly watch: Pick<OwnerWatch, "connected" | "disconnected" | "leaveUnwatched">;
  readonly namespaces: Pick<PidNamespaces, "register">;
  readonly observer: LockSessionObserver;
}

/** Which checks precede a procedure. docs/protocol.md, "Order of checks in every procedure". */
type Needs = "registered" | "anybody";

/** The lock program of docs/protocol.md. */
export function lockProgram({ table, reaper, watch, namespaces, observer }: LockProgramParts): Program {
  const answer = (reply: Reply) => (refusal: Refusal | undefined) =>
    refusal === undefined ? reply.ok() : reply.fail(lockFailure(refusal));

  // The names are those of libvirt's own dispatch functions: they appear in its "unsupported flags" message.
  const procedures = new Map<number, Procedure<LockSession>>([
    [
      LockProcedure.REGISTER,
      procedure("Register", "anybody", 0, decodeRegister, (session, args, _owner, reply) => {
        if (args.owner.id === 0) throw notRegistered();
        const { owner, uncertain } = placed(namespaces, session.peer, args.owner);
        leave(watch, session);
        speakFor(watch, session, owner);
        if (uncertain) watch.leaveUnwatched(owner);
        observer.registered(session);
        reply.ok();
      }),
    ],
    [
      LockProcedure.RESTRICT,
      procedure("Restrict", "registered", 0, decodeRestrict, (session, _args, _owner, reply) => {
        session.restricted = true;
        observer.restricted(session);
        reply.ok();
      }),
    ],
    [
      LockProcedure.NEW,
      procedure("New", "registered", 0, decodeNew, (_session, args, _owner, reply) => {
        table.newLockspace(args.path, answer(reply));
      }),
    ],
    [
      LockProcedure.CREATE_RESOURCE,
      procedure("CreateResource", "registered", 0, decodeResource, (_session, args, _owner, reply) => {
        table.createResource(args.path, args.name, answer(reply));
      }),
    ],
    [
      LockProcedure.DELETE_RESOURCE,
      procedure("DeleteResource", "registered", 0, decodeResource, (_session, args, _owner, reply) => {
        table.deleteResource(args.path, args.name, answer(reply));
      }),
    ],
    [
      LockProcedure.ACQUIRE_RESOURCE,
      procedure(
        "AcquireResource",
        "registered",
        ACQUIRE_SHARED | ACQUIRE_AUTOCREATE,
        decodeResource,
        (session, args, owner, reply) => {
          const options = {
            shared: (args.flags & ACQUIRE_SHARED) !== 0,
            autocreate: (args.flags & ACQUIRE_AUTOCREATE) !== 0,
          };
          session.trail ??= new GrantTrail();
          if (reply.serial === FIRST_ASK) session.trail.isLost = false;
          table.acquire(args.path, args.name, options, owner, (refusal) => {
            answer(reply)(refusal);
            if (refusal !== undefined) return;
            reaper.granted(owner);
            // Slow storage granted it after the holder's connection had ended: nobody would ever release it.
            if (session.ended && session.isHolder) reaper.end(owner);
          }, session.trail);
        },
      ),
    ],
    [
      LockProcedure.RELEASE_RESOURCE,
      procedure("ReleaseResource", "registered", 0, decodeResource, (_session, args, owner, reply) => {
        table.release(args.path, args.name, owner, answer(reply));
      }),
    ],
    [
      LockProcedure.CREATE_LOCKSPACE,
      procedure(
        "CreateLockspace",
        "anybody",
        0,
        decodeCreateLockspace,
        (_session, args, _owner, reply) => {
          table.ensureLockspace(args.path, answer(reply));
        },
      ),
    ],
  ]);

  return asProgram<LockSession>({
    name: "lock",
    number: LOCK_PROGRAM,
    version: LOCK_VERSION,
    maxPayload: LOCK_MAX_PAYLOAD,
    procedures,
    connect: (peer) => new LockSession(peer),
    disconnect(session) {
      session.ended = true;
      if (session.isHolder && session.owner !== undefined) reaper.end(session.owner);
      leave(watch, session);
      if (session.trail !== undefined) table.abandon(session.trail);
    },
  });
}

/** From now on a session speaks for an owner. */
export function speakFor(watch: Pick<OwnerWatch, "connected">, session: LockSession, owner: Owner): void {
  session.owner = owner;
  if (session.isHolder) watch.connected(owner, session.peer);
}

function leave(watch: Pick<OwnerWatch, "disconnected">, session: LockSession): void {
  if (session.isHolder && session.owner !== undefined) watch.disconnected(session.owner, session.peer);
}

/** The owner that a client names. @throws RpcFailure when its pid namespace cannot be told just now */
function placed(namespaces: Pick<PidNamespaces, "register">, peer: Peer, named: Owner): Registration {
  try {
    return namespaces.register(peer, named);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const action = `Unable to tell whose process ${named.pid} is that process ${peer.pid} registers`;
    throw lockFailure({ kind: "system", action, errno: error.errno });
  }
}

/** A procedure behind the checks that all of them share, in the order of docs/protocol.md. */
function procedure<A>(
  name: string,
  needs: Needs,
  knownFlags: number,
  decode: (reader: XdrReader) => A,
  run: (session: LockSession, args: A, owner: Owner, reply: Reply) => void,
): Procedure<LockSession> {
  return {
    name,
    run(session, reader, reply) {
      const args = decode(reader);
      const unknown = (flagsOf(args) & ~knownFlags) >>> 0;
      if (unknown !== 0) {
        throw unsupportedFlags(ErrorDomain.RPC, unknown, `virLockSpaceProtocolDispatch${name}`);
      }
      if (session.restricted) {
        throw operationDenied(ErrorDomain.RPC, "lock manager connection has been restricted");
      }
      const owner = session.owner;
      if (needs === "registered" && owner === undefined) throw notRegistered();
      run(session, args, owner ?? NOBODY, reply);
    },
  };
}

function flagsOf(args: unknown): number {
  return typeof args === "object" && args !== null && "flags" in args && typeof args.flags === "number"
    ? args.flags
    : 0;
}

function notRegistered() {
  return operationInvalid(ErrorDomain.RPC, "lock owner details have not been registered");
}
