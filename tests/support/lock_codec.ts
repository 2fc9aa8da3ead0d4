import { parseUuid } from "../../src/chassis/wire/uuid.ts";
import { XdrError } from "../../src/chassis/wire/xdr_error.ts";
import type { XdrWriter } from "../../src/chassis/wire/xdr_writer.ts";
import type {
  CreateLockspaceArgs,
  NewArgs,
  RegisterArgs,
  ResourceArgs,
  RestrictArgs,
} from "../../src/lockd/wire/lock_protocol.ts";

// A client's half of the lock program: the daemon only decodes arguments.

/**
 * Writes the arguments of REGISTER.
 *
 * @throws XdrError when the uuid is none
 */
export function encodeRegister(writer: XdrWriter, { owner, flags }: RegisterArgs): void {
  const uuid = parseUuid(owner.uuid);
  if (uuid === undefined) {
    throw new XdrError(`Cannot encode uuid: "${owner.uuid}" is not 32 hexadecimal digits`);
  }
  writer.opaque(uuid);
  writer.string(owner.name);
  writer.u32(owner.id);
  writer.u32(owner.pid);
  writer.u32(flags);
}

/** Writes the arguments of RESTRICT. */
export function encodeRestrict(writer: XdrWriter, { flags }: RestrictArgs): void {
  writer.u32(flags);
}

/** Writes the arguments of NEW. */
export function encodeNew(writer: XdrWriter, { path, flags }: NewArgs): void {
  writer.string(path);
  writer.u32(flags);
}

/** Writes the arguments of the four procedures on a resource. */
export function encodeResource(writer: XdrWriter, { path, name, flags }: ResourceArgs): void {
  writer.string(path);
  writer.string(name);
  writer.u32(flags);
}

/** Writes the arguments of CREATE_LOCKSPACE. */
export function encodeCreateLockspace(writer: XdrWriter, { path }: CreateLockspaceArgs): void {
  writer.string(path);
}
