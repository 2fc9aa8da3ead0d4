import assert from "node:assert/strict";
import { statusText } from "../../../../src/storaged/cli/status.ts";

const STARTED = Date.UTC(2026, 0, 1);

/** The status of a daemon of which some pools hang. */
function textWith(...hung: string[]): string {
  return statusText({
    version: "1.2.3",
    pid: 9,
    started: STARTED,
    servers: [{ name: "virtstoraged", clients: 2, clientsMax: 5000 }, {
      name: "admin",
      clients: 1,
      clientsMax: 9,
    }],
    streams: 1,
    jobs: 2,
    pools: { active: 3, inactive: 4, hung },
    helpers: 5,
    idleTimeout: 0,
  }, STARTED + 3_600_000);
}

Deno.test("statusText() tells how the daemon is", () => {
  assert.equal(
    textWith(),
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

Deno.test("statusText() names the pools whose storage does not answer", () => {
  assert.match(textWith("nfs", "other"), /^storage that does not answer: +nfs, other$/m);
});
