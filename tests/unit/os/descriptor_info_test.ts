import assert from "node:assert/strict";
import { descriptorInfo, inodeIn, isWritable, mountIn } from "../../../src/os/descriptor_info.ts";
import { O_APPEND, O_RDONLY, O_RDWR, O_WRONLY } from "../../../src/os/constants.ts";
import { emptyStatus } from "../../../src/os/sys.ts";
import { kernel } from "../../support/kernel.ts";

const INFO =
  "pos:\t0\nflags:\t0100002\nmnt_id:\t29\nino:\t4242\nlock:\t1: OFDLCK ADVISORY  READ -1 fe:00:7 0 0\n";

Deno.test("isWritable(), inodeIn() and mountIn() read what the kernel shows of a descriptor", () => {
  assert.deepEqual([isWritable(INFO), inodeIn(INFO), mountIn(INFO)], [true, "4242", 29]);
  const modes = ["00", "01", "02", "0100000", "0102001"].map((flags) =>
    isWritable(`pos:\t0\nflags:\t${flags}\n`)
  );
  assert.deepEqual(modes, [false, true, true, false, true]);
});

Deno.test("isWritable(), inodeIn() and mountIn() say nothing where the kernel shows nothing", () => {
  for (const info of ["", "pos:\t0\n", "flags:\tmany\nino:\tx\nmnt_id:\t\n"]) {
    assert.deepEqual([isWritable(info), inodeIn(info), mountIn(info)], [undefined, undefined, undefined]);
  }
});

Deno.test("descriptorInfo() is the kernel's text on a descriptor of this process or of another one", () => {
  const path = Deno.makeTempFileSync();
  for (const [flags, writable] of [[O_RDONLY, false], [O_WRONLY | O_APPEND, true], [O_RDWR, true]] as const) {
    const fd = kernel.open(path, flags, 0);
    const status = emptyStatus();
    kernel.fstat(fd, status);
    for (const process of ["self", Deno.pid] as const) {
      const info = descriptorInfo(kernel, process, fd) ?? assert.fail("no text");
      assert.equal(isWritable(info), writable);
      // Since Linux 5.14.
      assert.ok([undefined, String(status.inodeHigh * 2 ** 32 + status.inodeLow)].includes(inodeIn(info)));
    }
    kernel.close(fd);
  }
  Deno.removeSync(path);
  assert.equal(descriptorInfo(kernel, "self", 999_999), undefined);
});
