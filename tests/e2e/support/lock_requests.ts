import { LOCK_PROGRAM, LockProcedure, type OwnerArgs } from "../../../src/lockd/wire/lock_protocol.ts";
import {
  encodeCreateLockspace,
  encodeNew,
  encodeRegister,
  encodeResource,
  encodeRestrict,
} from "../../support/lock_codec.ts";
import { type Request, xdr } from "./conversation.ts";

// Requests of the lock program, by the names of the protocol.

/** Any procedure with any payload. */
export function lockCall(procedure: number, payload: Uint8Array): Request {
  return { program: LOCK_PROGRAM, procedure, payload };
}

/** REGISTER. */
export function register(owner: OwnerArgs, flags = 0): Request {
  return lockCall(LockProcedure.REGISTER, xdr((writer) => encodeRegister(writer, { owner, flags })));
}

/** RESTRICT. */
export function restrict(flags = 0): Request {
  return lockCall(LockProcedure.RESTRICT, xdr((writer) => encodeRestrict(writer, { flags })));
}

/** NEW. */
export function newLockspace(path: string, flags = 0): Request {
  return lockCall(LockProcedure.NEW, xdr((writer) => encodeNew(writer, { path, flags })));
}

/** CREATE_LOCKSPACE. */
export function createLockspace(path: string): Request {
  return lockCall(LockProcedure.CREATE_LOCKSPACE, xdr((writer) => encodeCreateLockspace(writer, { path })));
}

/** CREATE_RESOURCE. */
export function create(path: string, name: string, flags = 0): Request {
  return resource(LockProcedure.CREATE_RESOURCE, path, name, flags);
}

/** DELETE_RESOURCE. */
export function remove(path: string, name: string, flags = 0): Request {
  return resource(LockProcedure.DELETE_RESOURCE, path, name, flags);
}

/** ACQUIRE_RESOURCE. */
export function acquire(path: string, name: string, flags = 0): Request {
  return resource(LockProcedure.ACQUIRE_RESOURCE, path, name, flags);
}

/** RELEASE_RESOURCE. */
export function release(path: string, name: string, flags = 0): Request {
  return resource(LockProcedure.RELEASE_RESOURCE, path, name, flags);
}

function resource(procedure: number, path: string, name: string, flags: number): Request {
  return lockCall(procedure, xdr((writer) => encodeResource(writer, { path, name, flags })));
}
