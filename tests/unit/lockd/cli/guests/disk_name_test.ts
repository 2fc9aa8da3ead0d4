import assert from "node:assert/strict";
import { diskLockName } from "../../../../../src/lockd/cli/guests/disk_name.ts";

Deno.test("diskLockName() is what libvirt sends for a disk with file_lockspace_dir", () => {
  // As it was traced.
  assert.equal(
    diskLockName("/dev/loop5"),
    "3e11688eb53dbb96bf2cdbcb375ece81256b4e098585c37da720f916338d926c",
  );
});
