import assert from "node:assert/strict";
import { foregroundReason } from "../../../../src/chassis/start/background.ts";

const REASON = 'Option "-d" is not for a service: the service manager runs it in the background already';

Deno.test("foregroundReason() keeps the process in the foreground that a service manager watches", () => {
  const env = { NOTIFY_SOCKET: "/run/systemd/notify", SYSTEMD_EXEC_PID: "77" };
  assert.equal(foregroundReason(env, 77, 0), REASON);
  assert.equal(foregroundReason({}, 77, 1), REASON);
});

Deno.test("foregroundReason() lets others go into the background, also below a service", () => {
  assert.equal(foregroundReason({}, 77, 0), undefined);
  assert.equal(foregroundReason({ NOTIFY_SOCKET: "/n", SYSTEMD_EXEC_PID: "76" }, 77, 0), undefined);
  assert.equal(foregroundReason({ SYSTEMD_EXEC_PID: "77" }, 77, 0), undefined);
});
