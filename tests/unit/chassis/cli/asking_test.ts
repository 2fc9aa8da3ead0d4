import assert from "node:assert/strict";
import { VIRTLOCKD } from "../../../../src/lockd/identity/identity.ts";
import { adminSocket, jsonText } from "../../../../src/chassis/cli/asking.ts";
import { statusCommand } from "../../../../src/lockd/cli/status.ts";
import { UsageError } from "../../../../src/chassis/config/usage_error.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import { context, given } from "../../lockd/cli/cli_fixture.ts";

const none = given(statusCommand);

Deno.test("adminSocket() is the one that was named, else this user's", () => {
  const user = (uid: number, env: Record<string, string>) =>
    context({ ...linuxSys(), uid: () => uid }, { env });
  assert.equal(adminSocket(VIRTLOCKD, user(0, {}), none), "/run/libvirt/virtlockd-admin-sock");
  assert.equal(
    adminSocket(VIRTLOCKD, user(7, { XDG_RUNTIME_DIR: "/x", HOME: "/h" }), none),
    "/x/libvirt/virtlockd-admin-sock",
  );
  assert.equal(adminSocket(VIRTLOCKD, user(7, {}), given(statusCommand, "--connect", "rel")), "rel");
});

Deno.test("adminSocket() says what is missing when it cannot be told", () => {
  assert.throws(
    () => adminSocket(VIRTLOCKD, context({ ...linuxSys(), uid: () => 7 }, { env: {} }), none),
    UsageError,
  );
});

Deno.test("jsonText() is indented and ends its line", () => {
  assert.equal(jsonText([{ a: 1 }]), '[\n  {\n    "a": 1\n  }\n]\n');
});
