import assert from "node:assert/strict";
import { programOutput, succeeded } from "../../../../src/storaged/volumes/errors.ts";

Deno.test("succeeded() passes a result through, and words a failure as libvirt does", () => {
  assert.equal(succeeded(7, "cannot open"), 7);
  const message = "cannot extend file '/p/v': File too large";
  assert.throws(() => succeeded(-27, "cannot extend file '/p/v'"), {
    code: 38,
    domain: 18,
    message,
    int1: 27,
  });
});

Deno.test("programOutput() shows the command as a shell would be given it, and what it said", () => {
  const argv = ["/usr/bin/qemu-img", "create", "/p/it's"];
  const ended = { kind: "exited", code: 0, stdout: "out", stderr: "" } as const;
  assert.equal(programOutput(ended, argv), "out");
  assert.throws(() => programOutput({ ...ended, code: 1, stderr: "qemu-img: no\n" }, argv), {
    code: 1,
    domain: 0,
    message:
      "internal error: Child process (/usr/bin/qemu-img create '/p/it'\\''s') unexpected exit status 1" +
      ": qemu-img: no\n",
  });
  assert.throws(() => programOutput({ kind: "killed", signal: 9, stderr: "" }, argv), {
    message:
      "internal error: Child process (/usr/bin/qemu-img create '/p/it'\\''s') unexpected fatal signal 9",
  });
  assert.throws(() => programOutput({ kind: "missing", program: "scrub" }, argv), {
    code: 38,
    message: "Cannot find 'scrub' in path: No such file or directory",
  });
});
