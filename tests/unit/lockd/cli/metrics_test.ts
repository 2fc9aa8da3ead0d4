import assert from "node:assert/strict";
import { CommandError } from "../../../../src/chassis/cli/command.ts";
import { metricsCommand } from "../../../../src/lockd/cli/metrics.ts";
import { inDirectory } from "../../chassis/log/log_fixture.ts";
import { context, daemonWith, given, PlayedDaemon } from "./cli_fixture.ts";

const UP = "# HELP virtlockd_up Whether the daemon answered.\n# TYPE virtlockd_up gauge\nvirtlockd_up 1\n";

Deno.test("metrics prints the daemon's metrics and that it is up", async () => {
  const told = context(daemonWith({ metrics: "a 1\n" }).sys);
  assert.equal(await metricsCommand.run(told, given(metricsCommand)), 0);
  assert.equal(told.out.text, `${UP}a 1\n`);
});

Deno.test(
  "metrics --output writes that the daemon is down into the file, and fails all the same",
  inDirectory((directory) => {
    const path = `${directory}/x.prom`;
    const told = context(new PlayedDaemon(() => "end").sys);
    assert.throws(
      () => metricsCommand.run(told, given(metricsCommand, "--output", path)),
      (error) => error instanceof CommandError && error.code === 2,
    );
    assert.equal(told.out.text, "");
    assert.equal(Deno.readTextFileSync(path), UP.replace("up 1", "up 0"));
  }),
);

Deno.test("metrics without --output prints that there is no daemon", () => {
  const told = context(new PlayedDaemon(() => "end").sys);
  assert.throws(() => metricsCommand.run(told, given(metricsCommand)), CommandError);
  assert.equal(told.out.text, UP.replace("up 1", "up 0"));
});
