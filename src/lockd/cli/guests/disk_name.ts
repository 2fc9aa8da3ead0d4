import { createHash } from "node:crypto";

/**
 * Name that libvirt gives the lock of a disk in `file_lockspace_dir`: the SHA-256 of its path, as it is
 * configured (docs/protocol.md, What libvirt asks for).
 */
export function diskLockName(path: string): string {
  return createHash("sha256").update(path).digest("hex");
}
