import assert from "node:assert/strict";
import { Scratch } from "../../support/scratch.ts";

const HAND_OVER = new URL("../../../packaging/hand_over.sh", import.meta.url).pathname;

/** Whether the packages' scripts take a program for one that runs here, and what they say of it. */
async function runs(scratch: Scratch, body: string, path = "/usr/bin:/bin"): Promise<string> {
  const program = scratch.write("program", `#!/bin/sh\n${body}\n`);
  Deno.chmodSync(program, 0o755);
  const script = '. "$1"; if runs "$2"; then echo "runs: $tried"; else echo "does not: $tried"; fi';
  const { code, stdout } = await new Deno.Command("/bin/sh", {
    args: ["-ec", script, "sh", HAND_OVER, program],
    clearEnv: true,
    env: { PATH: path },
  }).output();
  assert.equal(code, 0);
  return new TextDecoder().decode(stdout);
}

Deno.test("the packages' scripts take no program for one that runs which would not take the locks over", async () => {
  using scratch = new Scratch();
  const cases: readonly (readonly [string, string])[] = [
    ["echo 'virtlockd (deno-virtlockd) 1.2.3'", "runs: virtlockd (deno-virtlockd) 1.2.3\n"],
    ["echo '/usr/sbin/virtlockd (libvirt) 9.0.0'", "runs: /usr/sbin/virtlockd (libvirt) 9.0.0\n"],
    ["echo hello", "does not: it says 'hello'\n"],
    [":", "does not: it says ''\n"],
    [
      "echo 'virtlockd (deno-virtlockd) 1.2.3'; exit 3",
      "does not: virtlockd (deno-virtlockd) 1.2.3\n(it ended with code 3)\n",
    ],
    ["yes 'virtlockd (deno-virtlockd) 1.2.3'", "does not: it writes without end\n"],
    ["yes | head -c 10000000 >&2", "does not: it writes without end\n"],
  ];
  for (const [body, says] of cases) assert.equal(await runs(scratch, body), says, body);
});

Deno.test("the packages' scripts wait no longer than 20 s for a program", async () => {
  using scratch = new Scratch();
  Deno.chmodSync(
    scratch.write("timeout", '#!/bin/sh\n[ "$*" = "--kill-after=5 20 $3 --version" ] && exit 124\n'),
    0o755,
  );
  assert.equal(
    await runs(scratch, "exec sleep 1000", `${scratch.path}:/usr/bin:/bin`),
    "does not: it did not end within 20 s\n",
  );
});
