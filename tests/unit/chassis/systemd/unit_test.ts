import assert from "node:assert/strict";
import { serviceUnit, watchdogQuery, watchReason } from "../../../../src/chassis/systemd/unit.ts";

Deno.test("serviceUnit() finds the service in either hierarchy of control groups", () => {
  assert.equal(serviceUnit("0::/system.slice/virtlockd.service\n"), "virtlockd.service");
  const both =
    "12:pids:/system.slice/virtlockd.service\n1:name=systemd:/x/system.slice/virtlockd.service\n0::/x\n";
  assert.equal(serviceUnit(both), "virtlockd.service");
  for (const none of ["", "0::/user.slice/user-0.slice/session-1.scope\n", "0::/\n"]) {
    assert.equal(serviceUnit(none), undefined);
  }
});

Deno.test("watchReason() understands what systemctl shows of a watchdog", () => {
  const shows = ["show", "--property=WatchdogUSec", "--property=LoadState", "x.service"];
  assert.deepEqual(watchdogQuery("x.service"), shows);
  const reason = (output: string) => watchReason("x.service", output);
  for (const off of ["0", "infinity"]) {
    assert.equal(reason(`WatchdogUSec=${off}\nLoadState=loaded\n`), undefined);
    assert.equal(reason(`WatchdogUSec=${off}\nLoadState=masked\n`), undefined);
  }
  assert.equal(
    reason("WatchdogUSec=20s\nLoadState=loaded\n"),
    "systemctl says 'WatchdogUSec=20s, LoadState=loaded'",
  );
  assert.equal(reason(""), "systemctl says ''");
  assert.equal(
    reason("WatchdogUSec=20s\nLoadState=masked\n"),
    "x.service is masked, and systemd takes no messages for such a unit. Run 'systemctl unmask x.service', and try again",
  );
});
