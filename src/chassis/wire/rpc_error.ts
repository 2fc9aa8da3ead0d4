import { LightError } from "./light_error.ts";
import { XdrError } from "./xdr_error.ts";
import type { XdrReader } from "./xdr_reader.ts";
import type { XdrWriter } from "./xdr_writer.ts";

// The payload of a REPLY with status ERROR. docs/protocol.md, Error payload.

/** libvirt's error numbers, as far as this daemon sends them. Clients match on them. */
export const ErrorCode = {
  INTERNAL_ERROR: 1,
  INVALID_ARG: 8,
  OPERATION_DENIED: 29,
  SYSTEM_ERROR: 38,
  RPC: 39,
  OPERATION_INVALID: 55,
  ARGUMENT_UNSUPPORTED: 74,
  RESOURCE_BUSY: 87,
  NO_SERVER: 95,
  NO_CLIENT: 96,
} as const;

/** Which part of the daemon an error comes from. */
export const ErrorDomain = {
  NONE: 0,
  RPC: 7,
  LOCKSPACE: 51,
  ADMIN: 62,
} as const;

/** Longest string in an error, in bytes. */
const STRING_MAX = 4194304;
/** Level of everything that is refused; 1 would be a warning. */
const LEVEL_ERROR = 2;

/**
 * A request was refused, with what the client is told.
 *
 * Cheap to make and to throw: it has no stack trace.
 */
export class RpcFailure extends LightError {
  override readonly name = "RpcFailure";
  /** One of {@link ErrorCode}; a peer may send others. */
  readonly code: number;
  /** One of {@link ErrorDomain}; a peer may send others. */
  readonly domain: number;
  /** Format of the message, `%s` being its detail. */
  readonly str1: string | undefined;
  /** The message without its prefix. */
  readonly str2: string | undefined;
  /** For SYSTEM_ERROR the errno, else -1, or 0 with unsupported flags. */
  readonly int1: number;
  readonly int2: number;

  /** Use the functions below; they know what belongs together. */
  constructor(
    code: number,
    domain: number,
    message: string,
    str1: string | undefined,
    str2: string | undefined,
    int1 = -1,
    int2 = -1,
  ) {
    super(message);
    this.code = code;
    this.domain = domain;
    this.str1 = str1;
    this.str2 = str2;
    this.int1 = int1;
    this.int2 = int2;
  }
}

/** `internal error: DETAIL`. */
export function internalError(domain: number, detail: string): RpcFailure {
  return prefixed(ErrorCode.INTERNAL_ERROR, domain, "internal error: ", detail);
}

/** `invalid argument: DETAIL`. */
export function invalidArg(domain: number, detail: string): RpcFailure {
  return prefixed(ErrorCode.INVALID_ARG, domain, "invalid argument: ", detail);
}

/** `argument unsupported: DETAIL`: a parameter that cannot be set, or is not known. */
export function argumentUnsupported(domain: number, detail: string): RpcFailure {
  return prefixed(ErrorCode.ARGUMENT_UNSUPPORTED, domain, "argument unsupported: ", detail);
}

/** `operation forbidden: DETAIL`. */
export function operationDenied(domain: number, detail: string): RpcFailure {
  return prefixed(ErrorCode.OPERATION_DENIED, domain, "operation forbidden: ", detail);
}

/** `Requested operation is not valid: DETAIL`. */
export function operationInvalid(domain: number, detail: string): RpcFailure {
  return prefixed(ErrorCode.OPERATION_INVALID, domain, "Requested operation is not valid: ", detail);
}

/** `resource busy: DETAIL`. */
export function resourceBusy(domain: number, detail: string): RpcFailure {
  return prefixed(ErrorCode.RESOURCE_BUSY, domain, "resource busy: ", detail);
}

/** `Server not found: DETAIL`. */
export function noServer(domain: number, detail: string): RpcFailure {
  return prefixed(ErrorCode.NO_SERVER, domain, "Server not found: ", detail);
}

/** `Client not found: DETAIL`. */
export function noClient(domain: number, detail: string): RpcFailure {
  return prefixed(ErrorCode.NO_CLIENT, domain, "Client not found: ", detail);
}

/** The request itself cannot be dispatched. The message is the detail alone. */
export function rpcError(domain: number, detail: string): RpcFailure {
  return prefixed(ErrorCode.RPC, domain, "", detail);
}

/**
 * A system call failed: `ACTION: REASON`.
 *
 * @param action what was tried, on what, e.g. `Unable to open resource /x`
 * @param errno positive
 * @param reason the system's text for the errno
 */
export function systemError(domain: number, action: string, errno: number, reason: string): RpcFailure {
  const message = `${action}: ${reason}`;
  return new RpcFailure(ErrorCode.SYSTEM_ERROR, domain, message, "%s", message, errno);
}

/**
 * Flags that the procedure does not know. Has no prefix, and other details than the rest of INVALID_ARG.
 *
 * @param flags the unknown ones only
 * @param where what refused them
 */
export function unsupportedFlags(domain: number, flags: number, where: string): RpcFailure {
  const message = `unsupported flags (0x${flags.toString(16)}) in function ${where}`;
  return new RpcFailure(ErrorCode.INVALID_ARG, domain, message, where, "flags", 0, 0);
}

function prefixed(code: number, domain: number, prefix: string, detail: string): RpcFailure {
  return new RpcFailure(code, domain, prefix + detail, prefix + "%s", detail);
}

/** Writes the payload of an error reply. */
export function encodeRpcFailure(writer: XdrWriter, failure: RpcFailure): void {
  writer.i32(failure.code);
  writer.i32(failure.domain);
  writer.optionalString(failure.message);
  writer.i32(LEVEL_ERROR);
  writer.bool(false);
  writer.optionalString(failure.str1);
  writer.optionalString(failure.str2);
  writer.optionalString(undefined);
  writer.i32(failure.int1);
  writer.i32(failure.int2);
  writer.bool(false);
}

/**
 * Reads the payload of an error reply. Level and str3 are passed over; an absent message is empty.
 *
 * @throws XdrError when it is malformed or carries a domain or network, which no daemon of this protocol
 *   sends
 */
export function decodeRpcFailure(reader: XdrReader): RpcFailure {
  const code = reader.i32();
  const domain = reader.i32();
  const message = reader.optionalString(STRING_MAX) ?? "";
  reader.i32();
  if (reader.bool()) throw new XdrError("Cannot decode error: it carries a domain");
  const str1 = reader.optionalString(STRING_MAX);
  const str2 = reader.optionalString(STRING_MAX);
  reader.optionalString(STRING_MAX);
  const int1 = reader.i32();
  const int2 = reader.i32();
  if (reader.bool()) throw new XdrError("Cannot decode error: it carries a network");
  return new RpcFailure(code, domain, message, str1, str2, int1, int2);
}
