import assert from "node:assert/strict";
import type { LogEntry } from "../../../../src/chassis/log/log_entry.ts";
import { type LogDestination, LogOutput } from "../../../../src/chassis/log/log_output.ts";
import { entry } from "./log_fixture.ts";

const ENOSPC = 28;

class Recorder implements LogDestination {
  readonly texts: string[] = [];
  result = 0;

  send(entry: LogEntry): number {
    if (this.result === 0) this.texts.push(`${entry.level} ${entry.text}`);
    return this.result;
  }

  reopen(): number {
    return this.result;
  }

  close(): void {
    this.texts.push("closed");
  }
}

Deno.test("LogOutput write() drops entries below the output's level", () => {
  const recorder = new Recorder();
  const output = new LogOutput({ kind: "stderr", level: 3 }, recorder);
  for (const level of [1, 2, 3, 4] as const) output.write(entry({ level }));
  assert.deepEqual(recorder.texts, ["3 text", "4 text"]);
});

Deno.test("LogOutput write() counts lost entries and reports them once when the destination works again", () => {
  const recorder = new Recorder();
  const output = new LogOutput({ kind: "stderr", level: 1 }, recorder);
  recorder.result = -ENOSPC;
  output.write(entry({ text: "a" }));
  output.write(entry({ text: "b" }));
  assert.equal(output.loss(), "2, last reason: No space left on device");
  recorder.result = 0;
  output.write(entry({ text: "c" }));
  output.write(entry({ text: "d" }));
  assert.deepEqual(recorder.texts, [
    "3 Messages lost on this output: 2, last reason: No space left on device",
    "3 c",
    "3 d",
  ]);
  assert.equal(output.loss(), undefined);
});

Deno.test("LogOutput close() closes its destination and reopen() passes its result on", () => {
  const recorder = new Recorder();
  const output = new LogOutput({ kind: "stderr", level: 1 }, recorder);
  recorder.result = -ENOSPC;
  assert.equal(output.reopen(), -ENOSPC);
  output.close();
  assert.deepEqual(recorder.texts, ["closed"]);
});
