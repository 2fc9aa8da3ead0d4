import assert from "node:assert/strict";
import type { Identity } from "../../../../src/chassis/config/identity.ts";
import { liveLogging } from "../../../../src/chassis/start/life.ts";
import { kernel } from "../../../support/kernel.ts";

const IDENTITY: Identity = {
  name: "toyd",
  product: "toys",
  purpose: ["Plays."],
  keeps: "toy",
  commands: {},
  sockets: ["read-write"],
};

Deno.test("a life that begins well is not undone, whatever it ends with", () => {
  const heard: string[] = [];
  const result = liveLogging(IDENTITY, kernel, (_logs, unfinished) => {
    unfinished.push(() => heard.push("undone"));
    unfinished.length = 0;
    return 7;
  });
  assert.deepEqual([result, heard], [7, []]);
});

Deno.test("a start that fails is undone, the last step first, and its error goes on", () => {
  const heard: string[] = [];
  assert.throws(
    () =>
      liveLogging(IDENTITY, kernel, (_logs, unfinished) => {
        unfinished.push(() => heard.push("first"), () => heard.push("second"));
        throw new Error("no room");
      }),
    /no room/,
  );
  assert.deepEqual(heard, ["second", "first"]);
});
