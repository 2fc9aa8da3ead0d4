import assert from "node:assert/strict";
import { VERSION } from "../../../../src/chassis/config/build_config.ts";
import { announceBeginning, ofGuests, type Past } from "../../../../src/lockd/daemon/beginning.ts";
import { Metrics } from "../../../../src/lockd/reporting/metrics.ts";
import type { Resource } from "../../../../src/lockd/lockspace/resource.ts";
import { KeptLog } from "../journal/kept_log.ts";
import { holding, resource } from "../programs/lock_fixture.ts";

const WEB = resource({ id: 1, holdings: [holding(42, "web")] });
const DB = resource({ id: 2, holdings: [holding(43, "db")] });

/** The line that a beginning makes, and what it counts. */
function beginning(past: Past, resources: readonly Resource[], clientCount: number, version?: string) {
  const log = new KeptLog();
  const metrics = new Metrics(0);
  metrics.restore({ version });
  announceBeginning({
    log,
    metrics,
    clientCount,
    table: { resources: () => resources.values() as Generator<Resource> },
  }, past);
  assert.equal(log.lines.length, 1);
  const { crashes, restarts, recovered, lost } = metrics.counts;
  return { line: log.lines[0], counts: [crashes, restarts, recovered, lost] };
}

Deno.test("announceBeginning() says what a reload and an upgrade have brought over, as a notice", () => {
  assert.deepEqual(beginning({ kind: "image" }, [WEB, DB], 3, VERSION), {
    line: `notice: virtlockd ${VERSION} goes on after a reload. ` +
      "Took over 3 clients and 2 locks of the guests 'web', 'db'",
    counts: [0, 0, 0, 0],
  });
  assert.equal(
    beginning({ kind: "image" }, [WEB], 1, "0.9.0").line,
    `notice: virtlockd ${VERSION} goes on after an upgrade from 0.9.0. ` +
      "Took over 1 client and 1 lock of the guest 'web'",
  );
  assert.equal(
    beginning({ kind: "libvirt" }, [], 0).line,
    `notice: virtlockd ${VERSION} goes on in the place of libvirt's own daemon. Took over 0 clients and 0 locks`,
  );
});

Deno.test("announceBeginning() warns of a crash, and names the guests of what is doubtful or lost", () => {
  const doubtful: Resource = { ...DB, state: { kind: "doubtful", reason: "why" } };
  const lost: Resource = { ...DB, state: { kind: "lost", reason: "somebody has it" } };
  assert.deepEqual(beginning({ kind: "crash" }, [WEB, doubtful], 2), {
    line: `warning: virtlockd ${VERSION} was started again because the last daemon was killed or crashed. ` +
      "Took over 2 clients and 2 locks of the guests 'web', 'db'; 1 in doubt: see 'virtlockd locks'",
    counts: [1, 0, 2, 0],
  });
  assert.deepEqual(beginning({ kind: "restart" }, [WEB, lost], 2), {
    line:
      `warning: virtlockd ${VERSION} was started again after the last daemon that served had been stopped. ` +
      "Took over 2 clients and 1 lock of the guest 'web'; LOST 1 lock of the guest 'db'; nothing protects its disk now",
    counts: [0, 1, 1, 1],
  });
});

Deno.test("announceBeginning() says at info that there was nothing", () => {
  assert.deepEqual(beginning({ kind: "none" }, [], 0), {
    line: `info: virtlockd ${VERSION} begins with no client and no lock: no earlier daemon has left any`,
    counts: [0, 0, 0, 0],
  });
});

Deno.test("ofGuests() names each guest once, one without a name by its process, and not too many", () => {
  const unnamed = resource({ id: 3, holdings: [holding(44, "")] });
  assert.equal(ofGuests([WEB, WEB, unnamed]), " of the guests 'web', 'process 44'");
  const many = Array.from(
    { length: 12 },
    (_, index) => resource({ id: index, holdings: [holding(index, `g${index}`)] }),
  );
  assert.match(ofGuests(many), /^ of the guests 'g0', .*'g9' and 2 more$/);
});

Deno.test("announceBeginning() names the guests that run without locks since the daemon was stopped", () => {
  const stopped = (...running: { name: string; pid: number }[]): Past => ({
    kind: "stopped",
    given: { at: 1_795_266_578_207, locks: 2, kept: 0, running },
  });
  const begins =
    `virtlockd ${VERSION} begins. The last daemon was stopped at 2026-11-21T13:09:38Z and gave up 2 locks`;
  assert.equal(
    beginning(stopped({ name: "web", pid: 7 }, { name: "", pid: 8 }), [], 0).line,
    `warning: ${begins}. These guests still run without their locks, start them anew: 'web', 'process 8'`,
  );
  assert.equal(beginning(stopped(), [], 0).line, `notice: ${begins}, whose guests have ended since`);
});

Deno.test("announceBeginning() tells what etcd has kept since the daemon was stopped apart from what was given up", () => {
  const stopped = (locks: number, ...running: { name: string; pid: number }[]): Past => ({
    kind: "stopped",
    given: { at: 1_795_266_578_207, locks, kept: 1, running },
  });
  const begins = `virtlockd ${VERSION} begins. The last daemon was stopped at 2026-11-21T13:09:38Z`;
  const kept = "etcd has kept 1 lock for this host";
  assert.equal(beginning(stopped(0), [], 0).line, `notice: ${begins}; ${kept}`);
  assert.equal(
    beginning(stopped(2), [], 0).line,
    `notice: ${begins} and gave up 2 locks, whose guests have ended since; ${kept}`,
  );
  assert.equal(
    beginning(stopped(2, { name: "web", pid: 7 }), [], 0).line,
    `warning: ${begins} and gave up 2 locks; ${kept}. These guests still run without their locks, start them anew: 'web'`,
  );
});
