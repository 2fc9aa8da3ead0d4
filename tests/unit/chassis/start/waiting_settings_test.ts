import assert from "node:assert/strict";
import { type Applied, WaitingSettings } from "../../../../src/chassis/start/waiting_settings.ts";

interface Settings {
  readonly level: number | undefined;
  readonly limit: number;
  readonly name: string | undefined;
  readonly members: readonly string[];
  readonly spaces: ReadonlyMap<string, string | undefined>;
}

const APPLIED: Applied<Settings> = {
  level: "logging",
  limit: () => assert.fail("nothing is applied here"),
  name: { waits: "the_name" },
  members: { waits: "members" },
  spaces: { waits: "spaces" },
};
const IN_USE: Settings = {
  level: 3,
  limit: 7,
  name: undefined,
  members: ["a", "b"],
  spaces: new Map([["x", "/x"], ["y", undefined]]),
};

/** What is said of one reading of the file after the other. */
function said(...readings: readonly Partial<Settings>[]): (string | undefined)[] {
  const waiting = new WaitingSettings(IN_USE, "'do it' does it");
  return readings.map((reading) => waiting.news(APPLIED, { ...IN_USE, ...reading }));
}

Deno.test("WaitingSettings names by their keys the settings that wait, with what to do", () => {
  const members = ["a", "c"];
  const spaces = new Map([["x", "/z"], ["y", undefined]]);
  assert.deepEqual(said({ name: "n", members, spaces }), [
    "Changed in the configuration, and not taken over by SIGHUP: the_name, members, spaces. 'do it' does it",
  ]);
  assert.deepEqual(said({ spaces: new Map([["x", "/x"], ["y", "/y"]]) }), [
    "Changed in the configuration, and not taken over by SIGHUP: spaces. 'do it' does it",
  ]);
});

Deno.test("WaitingSettings says nothing where nothing waits", () => {
  const same = { members: ["a", "b"], spaces: new Map(IN_USE.spaces) };
  assert.deepEqual(said({}, same, { level: 1, limit: 9 }), [undefined, undefined, undefined]);
});

Deno.test("WaitingSettings says what waits once, and anew when more has changed", () => {
  assert.deepEqual(
    said({ name: "n" }, { name: "n" }, { name: "m" }, { name: "m", members: [] }, {}, { name: "n" }),
    [
      "Changed in the configuration, and not taken over by SIGHUP: the_name. 'do it' does it",
      undefined,
      "Changed in the configuration, and not taken over by SIGHUP: the_name. 'do it' does it",
      "Changed in the configuration, and not taken over by SIGHUP: the_name, members. 'do it' does it",
      // It is what is in use.
      undefined,
      "Changed in the configuration, and not taken over by SIGHUP: the_name. 'do it' does it",
    ],
  );
});
