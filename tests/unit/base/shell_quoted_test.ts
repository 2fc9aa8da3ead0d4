import assert from "node:assert/strict";
import { shellQuoted } from "../../../src/base/shell_quoted.ts";

Deno.test("shellQuoted() leaves plain words alone, and a shell reads every other as it was", async () => {
  assert.equal(shellQuoted("/var/lib/libvirt/images/web-1_a.qcow2"), "/var/lib/libvirt/images/web-1_a.qcow2");
  for (const text of ["", "it's", "a b", '$(id) `id` \\ "x" !', "'", "''", "-x;y&z|*?[~"]) {
    const { stdout } = await new Deno.Command("sh", { args: ["-c", `printf %s ${shellQuoted(text)}`] })
      .output();
    assert.equal(new TextDecoder().decode(stdout), text);
  }
});
