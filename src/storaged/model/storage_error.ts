import { RpcFailure, systemError } from "../../chassis/wire/rpc_error.ts";

// libvirt's errors, as far as storage answers with them. Clients match on code and domain; people read the
// text.

/** Domain of most errors: VIR_FROM_STORAGE. */
const STORAGE = 18;
/** VIR_FROM_NONE: of helpers that belong to nobody, files and sizes among them. */
const NONE = 0;
/** VIR_FROM_XML: of documents, before anybody knows what they say. */
const XML = 5;

/** What is wrong, by libvirt's number and the words before the detail. */
const KINDS = {
  internal: [1, "internal error: "],
  "no-support": [3, "this function is not supported by the connection driver: "],
  "invalid-argument": [8, "invalid argument: "],
  failed: [9, "operation failed: "],
  xml: [27, "XML error: "],
  "xml-detail": [35, ""],
  "no-pool": [49, "Storage pool not found: "],
  "no-volume": [50, "Storage volume not found: "],
  invalid: [55, "Requested operation is not valid: "],
  unsupported: [67, "unsupported configuration: "],
  "timed-out": [68, "Timed out during operation: "],
  "argument-unsupported": [74, "argument unsupported: "],
  "probe-failed": [75, "Storage pool probe failed: "],
  "pool-built": [76, "Storage pool already built: "],
  aborted: [78, "operation aborted: "],
  overflow: [82, "numerical overflow: "],
  "operation-unsupported": [84, "Operation not supported: "],
} as const satisfies Readonly<Record<string, readonly [number, string]>>;

/** What kind of refusal it is. */
export type StorageErrorKind = keyof typeof KINDS;

function failure(kind: StorageErrorKind, domain: number, detail: string): RpcFailure {
  const [code, prefix] = KINDS[kind];
  return new RpcFailure(code, domain, prefix + detail, `${prefix}%s`, detail);
}

/** A refusal of the storage core. */
export function storageError(kind: StorageErrorKind, detail: string): RpcFailure {
  return failure(kind, STORAGE, detail);
}

/** Whether something was refused because storage does not answer. */
export function isTimeout({ code }: RpcFailure): boolean {
  return code === KINDS["timed-out"][0];
}

/** A refusal of what all of libvirt shares: sizes, files, programs. */
export function commonError(kind: StorageErrorKind, detail: string): RpcFailure {
  return failure(kind, NONE, detail);
}

/** A document whose elements or attributes are not what they have to be. */
export function documentError(detail: string): RpcFailure {
  return failure("xml", XML, detail);
}

/** As {@link documentError}, with nothing said before the detail. */
export function plainDocumentError(detail: string): RpcFailure {
  return failure("xml-detail", XML, detail);
}

/** The only one whose text has the detail in its middle. */
export function volumeExists(name: string): RpcFailure {
  const detail = `'${name}'`;
  return new RpcFailure(
    90,
    STORAGE,
    `storage volume ${detail} exists already`,
    "storage volume %s exists already",
    detail,
  );
}

/** What is in a volume is not what anybody wanted. */
export function notWhole(name: string): RpcFailure {
  const detail = `volume '${name}' is not whole: an upload to it, or its wiping, did not come to its end`;
  return storageError("invalid", detail);
}

/**
 * A system call failed.
 *
 * @param action what was tried, on what, e.g. `cannot open file '/x'`
 * @param errno positive
 * @param reason the system's text for the errno
 */
export function storageSystemError(action: string, errno: number, reason: string): RpcFailure {
  return systemError(STORAGE, action, errno, reason);
}

/** As {@link storageSystemError}, of what all of libvirt shares. */
export function commonSystemError(action: string, errno: number, reason: string): RpcFailure {
  return systemError(NONE, action, errno, reason);
}
