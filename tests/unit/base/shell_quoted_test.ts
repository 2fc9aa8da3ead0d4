import assert from "node:assert/strict";
import { shellOperand, shellQuoted } from "../../../src/base/shell_quoted.ts";

Deno.test("shellQuoted() leaves plain words alone, and a shell reads every other as it was", async () => {
  assert.equal(shellQuoted("/var/lib/libvirt/images/web-1_a.qcow2"), "/var/lib/libvirt/images/web-1_a.qcow2");
  for (const text of ["", "it's", "a b", '$(id) `id` \\ "x" !', "'", "''", "-x;y&z|*?[~"]) {
    const { stdout } = await new Deno.Command("sh", { args: ["-c", `printf %s ${shellQuoted(text)}`] })
      .output();
    assert.equal(new TextDecoder().decode(stdout), text);
  }
});

Deno.test("shellQuoted() shows what would steer a terminal by its bytes, and bash reads these as they were", async () => {
  assert.equal(shellQuoted("it's a\tb"), "$'it\\'s a\\011b'");
  assert.equal(shellQuoted("x\x1b[31m7"), "$'x\\033[31m7'");
  assert.equal(shellQuoted("disk\udcff"), "$'disk\\377'");
  for (const text of ["a\nb", "\x017", "\u202egnp\\exe", "é\u2028'\x7f"]) {
    const { stdout } = await new Deno.Command("bash", { args: ["-c", `printf %s ${shellQuoted(text)}`] })
      .output();
    assert.equal(new TextDecoder().decode(stdout), text);
  }
});

Deno.test("shellOperand() keeps a word from being taken for an option", async () => {
  assert.deepEqual([shellOperand("web"), shellOperand("it's"), shellOperand("a-b")], [
    "web",
    "'it'\\''s'",
    "a-b",
  ]);
  for (const text of ["-x", "--force", "- $(id)"]) {
    const { code, stdout } = await new Deno.Command("sh", { args: ["-c", `basename ${shellOperand(text)}`] })
      .output();
    assert.deepEqual([code, new TextDecoder().decode(stdout)], [0, `${text}\n`]);
  }
});
