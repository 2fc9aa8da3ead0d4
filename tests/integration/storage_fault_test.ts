// The storage daemon's own calls, each failing once: what is asked gets an answer, the daemon serves on, and
// no descriptor stays open.

import { deepStrictEqual, ok } from "node:assert/strict";
import { Place } from "../support/place.ts";
import { TestProcess } from "../support/test_process.ts";

const MAIN = new URL("../fault/storage_main.ts", import.meta.url).pathname;
const TIMEOUT = 110_000;

/** A line of the process that runs the daemon under faults. */
interface PathResult {
  readonly path: string;
  readonly faults: number;
  readonly problems: readonly string[];
}

/** Fails every call on some ways through the daemon, one after the other. */
async function fail(...paths: string[]): Promise<PathResult[]> {
  using place = Place.create();
  const command = place.command([Deno.execPath(), "run", "-A", "--no-check", MAIN, ...paths]);
  await using process = new TestProcess(command, place.env, place.directory);
  const { code } = await process.wait(TIMEOUT);
  deepStrictEqual([code, process.stderr.text], [0, ""]);
  return process.stdout.text.trimEnd().split("\n").map((line): PathResult => JSON.parse(line));
}

function check(results: readonly PathResult[], most: number): void {
  deepStrictEqual(
    results.flatMap(({ path, problems }) => problems.map((problem) => `${path}: ${problem}`)),
    [],
  );
  const total = results.reduce((sum, { faults }) => sum + faults, 0);
  ok(total >= most, `only ${total} faults came up, wanted ${most}`);
}

Deno.test("each failing call of a start of the storage daemon is told, or does not matter", async () => {
  check(await fail("start"), 50);
});

Deno.test("each failing call of a pool's life is answered, and the daemon serves on", async () => {
  check(
    await fail(
      "connect",
      "define a pool",
      "build a pool",
      "start a pool",
      "refresh a pool",
      "stop a pool",
      "delete a pool",
      "undefine a pool",
      "start a pool with the host",
      "reload",
    ),
    100,
  );
});

Deno.test("each failing call of a volume's life is answered, and the daemon serves on", async () => {
  check(await fail("create a volume", "delete a volume", "upload", "download"), 40);
});
