import assert from "node:assert/strict";
import type { Check } from "../../../../src/lockd/cli/checks/check.ts";
import { ok, problem, warning } from "../../../../src/lockd/cli/checks/check.ts";
import { diagnose, diagnosesText, doctorCommand } from "../../../../src/lockd/cli/doctor.ts";
import { FakeHost, patientOf } from "./checks/check_fixture.ts";
import { context, daemonWith, given } from "./cli_fixture.ts";

const CHECKS: Check[] = [
  { name: "first", run: () => [ok("All is well"), problem("It\nburns", "Put it out")] },
  { name: "second", run: () => Promise.resolve([warning("It smokes", "Open a window")]) },
  { name: "third", run: () => [] },
];

Deno.test("diagnose() runs the checks in order and names them", async () => {
  using fake = new FakeHost({});
  const diagnoses = await diagnose(patientOf(fake.host), CHECKS);
  assert.deepEqual(diagnoses, [
    { check: "first", level: "ok", found: "All is well" },
    { check: "first", level: "problem", found: "It\nburns", advice: "Put it out" },
    { check: "second", level: "warning", found: "It smokes", advice: "Open a window" },
  ]);
  assert.equal(
    diagnosesText(diagnoses),
    `ok       first: All is well
PROBLEM  first: It\\nburns
         -> Put it out
WARNING  second: It smokes
         -> Open a window
`,
  );
});

Deno.test("doctor examines the host below --root, and fails when there is a problem", async () => {
  using fake = new FakeHost({ "/etc/libvirt/qemu.conf": 'lock_manager = "lockd"\n' });
  const well = daemonWith({});
  const told = context(well.sys);
  assert.equal(await doctorCommand.run(told, given(doctorCommand, "--root", fake.root)), 0);
  assert.match(told.out.text, /^ok {7}lock manager: \/etc\/libvirt\/qemu\.conf has lock_manager = "lockd"$/m);
  assert.deepEqual(well.connected, [`${fake.root}/run/libvirt/virtlockd-admin-sock`]);
});
