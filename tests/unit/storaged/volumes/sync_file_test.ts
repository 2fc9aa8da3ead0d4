import assert from "node:assert/strict";
import { EIO, ENOSYS } from "../../../../src/os/errno.ts";
import { type StorageSys, storageSys } from "../../../../src/os/storage_sys.ts";
import { RpcFailure } from "../../../../src/chassis/wire/rpc_error.ts";
import { syncFile } from "../../../../src/storaged/volumes/sync_file.ts";
import { kernel } from "../../../support/kernel.ts";
import { Scratch } from "../../../support/scratch.ts";
import { O_RDWR } from "../../../../src/os/constants.ts";

/** Syncs a sparse file of 40 MiB. @returns what it did */
function synced(piece: (offset: number, length: number) => number): string[] {
  using scratch = new Scratch();
  const path = scratch.write("f", "data");
  Deno.truncateSync(path, 40 << 20);
  const fd = kernel.open(path, O_RDWR, 0);
  const did: string[] = [];
  const real = storageSys();
  const storage: StorageSys = Object.create(real, {
    seek: { value: real.seek.bind(real) },
    syncRange: {
      value: (_fd: number, offset: number, length: number) => {
        did.push(`${offset >> 20}+${length >> 20}`);
        return piece(offset, length);
      },
    },
  });
  const sys = { monotonic: () => 0, fsync: () => (did.push("all"), 0) };
  try {
    syncFile(sys, storage, fd, "/p/f", { alive: () => did.push("alive"), checkpoint() {} });
  } finally {
    kernel.close(fd);
  }
  return did;
}

Deno.test("a file is written in pieces, with a sign of life behind each, then what belongs to it", () => {
  assert.deepEqual(synced(() => 0), ["0+8", "alive", "8+16", "alive", "24+32", "alive", "all"]);
});

Deno.test("where a piece cannot be written by itself the whole file is", () => {
  assert.deepEqual(synced(() => -ENOSYS), ["0+8", "all"]);
});

Deno.test("what cannot be written is told: nobody else would hear of it", () => {
  assert.throws(
    () => synced(() => -EIO),
    (error) =>
      error instanceof RpcFailure &&
      error.message === "cannot sync data to file '/p/f': Input/output error",
  );
});
