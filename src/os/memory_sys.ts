import { MFD_ALLOW_SEALING, MFD_CLOEXEC } from "./constants.ts";
import { cString } from "./c_string.ts";
import type { Libc } from "./libc.ts";
import type { MemorySys } from "./sys.ts";

const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_ANONYMOUS = 0x20;
const MAP_NORESERVE = 0x4000;

/** Builds the shared-memory part of the kernel surface. */
export function memorySys({ rare, errno }: Libc): MemorySys {
  return {
    memfd(name) {
      const result = rare.memfd_create(
        cString(name) as Uint8Array<ArrayBuffer>,
        MFD_CLOEXEC | MFD_ALLOW_SEALING,
      );
      const error = errno[0] as number;
      return result < 0 ? -error : result;
    },
    map(fd, length) {
      const flags = MAP_SHARED | MAP_NORESERVE | (fd < 0 ? MAP_ANONYMOUS : 0);
      const result = rare.mmap(null, BigInt(length), PROT_READ_WRITE, flags, fd, 0n);
      const error = errno[0] as number;
      const address = Deno.UnsafePointer.value(result);
      // MAP_FAILED is (void *) -1.
      if (result === null || BigInt(address) === 0xffff_ffff_ffff_ffffn || BigInt(address) === -1n) {
        return -error;
      }
      return {
        bytes: new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(result, length)),
        address: Number(address),
        pointer: (offset) => Deno.UnsafePointer.offset(result, offset),
      };
    },
    trimHeap() {
      rare.malloc_trim(0n);
    },
  };
}
