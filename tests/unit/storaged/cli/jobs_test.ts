import assert from "node:assert/strict";
import { jobsText } from "../../../../src/storaged/cli/jobs.ts";

Deno.test("jobsText() has a line for each job", () => {
  const since = Date.UTC(2026, 0, 1);
  const caller = { client: "7", pid: 12, uid: 0 };
  const text = jobsText([
    {
      id: 3,
      kind: "clone",
      pool: "p",
      volume: "v",
      state: "running",
      since,
      done: 5 << 20,
      total: 10 << 20,
      ...caller,
    },
    { id: 4, kind: "build", pool: "q", state: "hung", since, ...caller },
    { id: 5, kind: "upload", pool: "p", volume: "w", state: "running", since, done: 1 << 19, ...caller },
  ], since + 65_000);
  assert.equal(
    text,
    [
      "ID  WHAT    OF   STATE    DONE           SINCE      FOR",
      "3   clone   p/v  running  50% (5.0 MiB)  1 min 5 s  client 7, process 12, uid 0",
      "4   build   q    hung     -              1 min 5 s  client 7, process 12, uid 0",
      "5   upload  p/w  running  0.5 MiB        1 min 5 s  client 7, process 12, uid 0",
      "",
    ].join("\n"),
  );
});

Deno.test("jobsText() says that there is nothing", () => {
  assert.equal(jobsText([], 0), "No job is under way\n");
});
