import { sha256 } from "@noble/hashes/sha2";
import { encodeText } from "../../../os/text.ts";

/**
 * Name that libvirt gives the lock of a disk in `file_lockspace_dir`: the SHA-256 of its path, as it is
 * configured (docs/protocol.md, What libvirt asks for).
 */
export function diskLockName(path: string): string {
  return sha256(encodeText(path)).toHex();
}
