import assert from "node:assert/strict";
import { LogConfigError } from "../../../../src/chassis/log/log_config_error.ts";
import { StartError } from "../../../../src/chassis/start/start_error.ts";
import { unless } from "../../../../src/lockd/life/unless.ts";
import { ENOSPC } from "../../../../src/os/errno.ts";
import { SystemError } from "../../../../src/os/system_error.ts";

function fails(error: Error): () => never {
  return () => {
    throw error;
  };
}

Deno.test("unless() does not ask what is at stake as long as nothing fails", () => {
  const asked = () => assert.fail("asked");
  assert.equal(unless(asked, () => 5, () => 6), 5);
});

Deno.test("unless() goes on without a step whose failure is forgiven", () => {
  for (
    const [error, why] of [
      [new StartError(6, "Bind socket /x: another daemon listens there"), "another daemon listens there"],
      [new SystemError("open", "/x", ENOSPC), "No space left on device"],
      [new LogConfigError("Invalid log_outputs"), "Invalid log_outputs"],
    ] as const
  ) assert.match(unless(() => true, fails(error), (reason) => reason), new RegExp(why));
});

Deno.test("unless() lets a failure end the start that is not forgiven, and a fault of the program always", () => {
  const refused = new StartError(1, "wrong");
  assert.throws(() => unless(() => false, fails(refused), () => 0), refused);
  const fault = new TypeError("a fault");
  assert.throws(() => unless(() => true, fails(fault), () => 0), fault);
});
