import assert from "node:assert/strict";
import { statusText } from "../../../../src/storaged/cli/status.ts";

Deno.test("statusText() tells how the daemon is", () => {
  const started = Date.UTC(2026, 0, 1);
  const text = statusText({
    version: "1.2.3",
    pid: 9,
    started,
    servers: [{ name: "virtstoraged", clients: 2, clientsMax: 5000 }, {
      name: "admin",
      clients: 1,
      clientsMax: 9,
    }],
    streams: 1,
    jobs: 2,
    pools: { active: 3, inactive: 4 },
    helpers: 5,
    idleTimeout: 0,
  }, started + 3_600_000);
  assert.equal(
    text,
    [
      "version:           1.2.3",
      "pid:               9",
      "running since:     2026-01-01 00:00:00Z (1 h 0 min)",
      "clients:           2 of 5000 (virtstoraged), 1 of 9 (admin)",
      "pools:             3 active, 4 inactive",
      "jobs:              2",
      "streams:           1",
      "helper processes:  5",
      "idle timeout:      none",
      "",
    ].join("\n"),
  );
});
