import assert from "node:assert/strict";
import { isUnwatched, serviceUnit, watchdogQuery } from "../../../../src/chassis/systemd/unit.ts";

Deno.test("serviceUnit() finds the service in either hierarchy of control groups", () => {
  assert.equal(serviceUnit("0::/system.slice/virtlockd.service\n"), "virtlockd.service");
  const both =
    "12:pids:/system.slice/virtlockd.service\n1:name=systemd:/x/system.slice/virtlockd.service\n0::/x\n";
  assert.equal(serviceUnit(both), "virtlockd.service");
  for (const none of ["", "0::/user.slice/user-0.slice/session-1.scope\n", "0::/\n"]) {
    assert.equal(serviceUnit(none), undefined);
  }
});

Deno.test("isUnwatched() understands what systemctl shows of a watchdog", () => {
  assert.deepEqual(watchdogQuery("x.service"), ["show", "--value", "--property=WatchdogUSec", "x.service"]);
  for (const off of ["0\n", "infinity\n"]) assert.equal(isUnwatched(off), true);
  for (const on of ["20s\n", "", "1min 30s\n"]) assert.equal(isUnwatched(on), false);
});
