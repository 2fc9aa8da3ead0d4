import { RpcFailure, unsupportedFlags } from "../../chassis/wire/rpc_error.ts";

// Flags of libvirt's storage calls, by the numbers of its headers.

const STORAGE_DOMAIN = 18;

/** virStoragePoolCreateFlags. */
export const CREATE_BUILD = 1;
export const CREATE_BUILD_OVERWRITE = 2;
export const CREATE_BUILD_NO_OVERWRITE = 4;
/** virStoragePoolBuildFlags; 2 is a number that nobody implements. */
export const BUILD_OVERWRITE = 8;
export const BUILD_NO_OVERWRITE = 4;
/** virStoragePoolDefineFlags. */
export const DEFINE_VALIDATE = 1;
/** virStorageXMLFlags. */
export const XML_INACTIVE = 1;
/** virStorageVolCreateFlags. */
export const PREALLOCATE_METADATA = 1;
export const REFLINK = 2;
export const VOLUME_VALIDATE = 4;
/** virStorageVolResizeFlags. */
export const RESIZE_ALLOCATE = 1;
export const RESIZE_DELTA = 2;
export const RESIZE_SHRINK = 4;
/** virStorageVolInfoFlags. */
export const PHYSICAL = 1;
/** virStorageVolUploadFlags and virStorageVolDownloadFlags. */
export const SPARSE = 1;

/**
 * @param known all that the call knows
 * @param where libvirt's name of the function, which is in the message
 * @throws RpcFailure for others
 */
export function checkFlags(flags: number, known: number, where: string): void {
  const unknown = (flags & ~known) >>> 0;
  if (unknown !== 0) throw unsupportedFlags(STORAGE_DOMAIN, unknown, where);
}

/** @throws RpcFailure when it is to be both */
export function checkBuildFlags(flags: number): void {
  const where = "virStorageBackendFileSystemBuild";
  checkFlags(flags, BUILD_OVERWRITE | BUILD_NO_OVERWRITE, where);
  if ((flags & BUILD_OVERWRITE) === 0 || (flags & BUILD_NO_OVERWRITE) === 0) return;
  const detail = "Flags 'VIR_STORAGE_POOL_BUILD_OVERWRITE' and 'VIR_STORAGE_POOL_BUILD_NO_OVERWRITE' " +
    "are mutually exclusive";
  throw new RpcFailure(8, STORAGE_DOMAIN, detail, where, "ctl", 0, 0);
}
