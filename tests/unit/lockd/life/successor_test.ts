import assert from "node:assert/strict";
import { prepareSuccession } from "../../../../src/lockd/life/successor.ts";
import { LifeStage } from "./life_stage.ts";

const CGROUP = "0::/system.slice/virtlockd.service\n";

Deno.test("prepareSuccession() begins nothing, and knows the service only where systemd is the manager", () => {
  using plain = new LifeStage({ env: {}, cgroup: CGROUP });
  const { unit, watchdog } = prepareSuccession(plain.found, plain.build());
  assert.deepEqual([unit, watchdog.armed, plain.told], [undefined, false, []]);
  using other = new LifeStage({ env: {}, cgroup: CGROUP, notifyAddress: "/run/other/notify" });
  assert.equal(prepareSuccession(other.found, other.build()).unit, undefined);
  using systemd = new LifeStage({ env: {}, cgroup: CGROUP, notifyAddress: "/run/systemd/notify" });
  assert.equal(prepareSuccession(systemd.found, systemd.build()).unit, "virtlockd.service");
  using session = new LifeStage({
    env: {},
    cgroup: "0::/user.slice/session-1.scope\n",
    notifyAddress: "/run/systemd/notify",
  });
  assert.equal(prepareSuccession(session.found, session.build()).unit, undefined);
});
