import assert from "node:assert/strict";
import { CommandError } from "../../../../src/chassis/cli/command.ts";
import { exporterCommand } from "../../../../src/lockd/cli/metrics.ts";
import { UsageError } from "../../../../src/chassis/config/usage_error.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import { context, given } from "./cli_fixture.ts";

Deno.test("exporter refuses a missing or wrong address", async () => {
  const told = context(linuxSys());
  await assert.rejects(async () => await exporterCommand.run(told, given(exporterCommand)), UsageError);
  await assert.rejects(
    async () => await exporterCommand.run(told, given(exporterCommand, "--listen", "nowhere")),
    UsageError,
  );
});

Deno.test("exporter does not take the place of a file that is no socket", async () => {
  const path = Deno.makeTempFileSync();
  try {
    const told = context(linuxSys());
    await assert.rejects(
      async () => await exporterCommand.run(told, given(exporterCommand, "--listen", `unix:${path}`)),
      (error) =>
        error instanceof CommandError && error.code === 1 &&
        error.message === `Listen at unix:${path}: there is a file of that name, which is no socket`,
    );
    assert.equal(Deno.statSync(path).isFile, true);
  } finally {
    Deno.removeSync(path);
  }
});
