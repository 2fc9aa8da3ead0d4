// The storage daemon's own calls, each failing once: what is asked gets an answer, the daemon serves on, and
// no descriptor stays open.
import { assertFaultsHarmless as check, failEach, type FaultResult } from "../support/fault_process.ts";

const MAIN = new URL("../fault/storage_main.ts", import.meta.url).pathname;

function fail(...paths: string[]): Promise<FaultResult[]> {
  return failEach(MAIN, paths);
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
