import assert from "node:assert/strict";
import { CommandError } from "../../../../src/chassis/cli/command.ts";
import { exporterCommand, exporterText } from "../../../../src/lockd/cli/exporter.ts";
import { UsageError } from "../../../../src/chassis/config/usage_error.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import { context, given } from "./cli_fixture.ts";

/** Samples of a text: the lines that are no comments. */
function samples(text: string): string[] {
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

Deno.test("exporterText() is the daemon's metrics and that it is up", () => {
  assert.deepEqual(samples(exporterText(() => "a 1\n")), ["up 1", "virtlockd_up 1", "a 1"]);
});

Deno.test("exporterText() says that the daemon is down when it cannot be asked", () => {
  const text = exporterText(() => {
    throw new CommandError(2, "nobody there");
  });
  assert.deepEqual(samples(text), ["up 0", "virtlockd_up 0"]);
});

Deno.test("exporterText() does not hide a defect", () => {
  assert.throws(() =>
    exporterText(() => {
      throw new TypeError("defect");
    }), TypeError);
});

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
