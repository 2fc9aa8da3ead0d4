import assert from "node:assert/strict";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import { type Ending, learnEnding } from "../../../../src/lockd/daemon/ending.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import type { SpawnOptions, Sys } from "../../../../src/os/sys.ts";
import { kernel } from "../../../support/kernel.ts";
import { Scratch } from "../../../support/scratch.ts";
import { standingTime } from "../../../support/standing_time.ts";

const UNIT = "virtlockd.service";

/** What is made of systemctl's answers: a shell script that has its arguments. */
function learn(
  script: string,
  unit: string | undefined,
  copies = () => "kept" as "kept" | "dropped" | "none",
) {
  const asked: string[] = [];
  const sys: Sys = {
    ...standingTime(kernel),
    spawn: (options: SpawnOptions) => {
      asked.push(options.argv.slice(1).join(" "));
      return kernel.spawn({
        ...options,
        path: "/bin/sh",
        argv: ["sh", "-c", script, "systemctl", ...options.argv.slice(1)],
      });
    },
  };
  const loop = new EventLoop(sys);
  const ledger = new DescriptorLedger(sys);
  const storage = { handover: undefined, run: () => assert.fail("no helper is needed") };
  const ending: Ending = learnEnding({ sys, loop, ledger, storage }, ["PATH=/usr/bin:/bin"], unit, copies);
  loop.close();
  return { ending, asked };
}

/** A systemd with these jobs and this property. */
function systemd(jobs: string, preserve = "restart"): string {
  return `case "$1" in list-jobs) printf '${jobs}';; show) echo '${preserve}';; esac`;
}

const LIST = `list-jobs --plain --no-legend ${UNIT}`;
const SHOW = `show --value --property=FileDescriptorStorePreserve ${UNIT}`;

Deno.test("learnEnding() knows a stop and a restart by systemd's job", () => {
  assert.deepEqual(learn(systemd("1234 virtlockd.service stop running\\n"), UNIT), {
    ending: "given-up",
    asked: [LIST, SHOW],
  });
  assert.deepEqual(learn(systemd("  77 virtlockd.service restart running\\n"), UNIT), {
    ending: "restarted",
    asked: [LIST],
  });
  // Of systemd 252, which has no such property.
  assert.equal(learn(systemd("1 virtlockd.service stop running\\n", ""), UNIT).ending, "given-up");
});

Deno.test("learnEnding() is not sure when the copies may be wanted", () => {
  for (
    const script of [
      // Copies that outlive a stop.
      systemd("9 virtlockd.service stop running\\n", "yes"),
      "exit 1",
      'test "$1" != show && echo 9 virtlockd.service stop running',
    ]
  ) assert.equal(learn(script, UNIT).ending, "unsure", script);
});

Deno.test("learnEnding() knows an end that systemd was not told of", () => {
  for (
    const jobs of [
      "",
      "9 other-virtlockd.service stop running\\n",
      "9 virtlockd.service start waiting\\n",
      "9 virtlockd.service reload running\\n",
    ]
  ) assert.deepEqual(learn(systemd(jobs), UNIT), { ending: "unasked", asked: [LIST] });
});

Deno.test("learnEnding() asks once more when a signal to the whole service ended who asks", () => {
  using scratch = new Scratch();
  const once = scratch.file("asked");
  const script = `[ -e ${once} ] || { : >${once}; kill -TERM $$; }; ${systemd("")}`;
  assert.deepEqual(learn(script, UNIT), { ending: "unasked", asked: [LIST, LIST] });
});

Deno.test("learnEnding() asks nobody without copies, or without systemd", () => {
  assert.deepEqual(learn("exit 1", UNIT, () => "none"), { ending: "given-up", asked: [] });
  assert.deepEqual(learn("exit 1", undefined), { ending: "unsure", asked: [] });
});

Deno.test("learnEnding() does not promise what systemd has dropped, also while it is being asked", () => {
  const restart = systemd("77 virtlockd.service restart running\\n");
  assert.deepEqual(learn(restart, UNIT, () => "dropped"), { ending: "left", asked: [] });
  let asked = 0;
  // Twice before systemd is asked.
  const dropped = learn(restart, UNIT, () => asked++ < 2 ? "kept" : "dropped");
  assert.deepEqual(dropped, { ending: "left", asked: [LIST] });
});
