import { EFBIG } from "../../os/errno.ts";
import { failedCall } from "./errors.ts";

/**
 * A size or position that a client has named, for system calls. They take numbers, exact up to 8 PiB:
 * what is larger would be another one, and from 16 EiB on it would be a small one.
 *
 * @param action what is tried, on what
 * @throws RpcFailure for more
 */
export function fileSize(bytes: bigint, action: string): number {
  const size = Number(bytes);
  if (!Number.isSafeInteger(size)) throw failedCall(action, -EFBIG);
  return size;
}
