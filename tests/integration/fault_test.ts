import { deepStrictEqual } from "node:assert/strict";
import { assertFaultsHarmless, failEach, type FaultResult } from "../support/fault_process.ts";

const MAIN = new URL("../fault/main.ts", import.meta.url).pathname;

function fail(...paths: string[]): Promise<FaultResult[]> {
  return failEach(MAIN, paths);
}

function check(results: readonly FaultResult[], least: number): void {
  assertFaultsHarmless(results, least);
  const idle = results.filter(({ faults }) => faults < 5).map(({ path }) => path);
  deepStrictEqual(idle, [], "On these paths hardly a fault came up");
}

Deno.test("Each failing call of each request is told, the next request works, and nothing leaks or is lost", async () => {
  const results = await fail(
    "connect and register",
    "new lockspace",
    "create a resource",
    "delete a resource",
    "acquire",
    "acquire shared",
    "acquire, making the file",
    "acquire shared, making the file",
    "acquire what a sharer has",
    "be refused what another owner has",
    "be refused another name of what is locked",
    "release",
    "release shared",
    "release and unlink",
    "release shared and unlink",
    "disconnect",
    "list the locks",
    "reload the configuration",
  );
  deepStrictEqual(results.length, 18);
  check(results, 350);
});

Deno.test("Each failing call while a holder dies leaves its locks held until it is gone, and frees them then", async () => {
  check(await fail("lose a holder", "lose the holder of a disk, and ask whether it still writes"), 50);
});

Deno.test("Each failing call for a process without a connection leaves a lock that lives as long as that process", async () => {
  check(await fail("lock for a process without a connection", "lose a process without a connection"), 30);
});

Deno.test("Each failing call of a re-exec leaves the daemon serving with its locks, and the next one works", async () => {
  check(await fail("re-exec"), 100);
});

Deno.test("Each failing call of a start after a crash without a store leaves a living guest its lock, or says why not", async () => {
  check(await fail("recovery"), 200);
});

Deno.test("Each failing call of a start is told, or does not matter", async () => {
  check(await fail("start", "take over"), 250);
});

Deno.test("Each failing call is told, and nothing is left over, with a service manager that keeps descriptors too", async () => {
  const paths = [
    "connect and register",
    "acquire, making the file",
    "release shared and unlink",
    "disconnect",
  ];
  check(await fail("--store", ...paths, "lose a holder", "re-exec"), 230);
});
