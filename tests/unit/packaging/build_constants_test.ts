import assert from "node:assert/strict";
import { buildConstants, withConstants } from "../../../packaging/build_constants.ts";

const SOURCE = `/** Configuration. */
export const SYSCONFDIR: string = "/etc";
export const RUNSTATEDIR: string = "/run";
`;

Deno.test("buildConstants() takes the directories that the packager has set", () => {
  const env = { VIRTLOCKD_SYSCONFDIR: "/opt/etc", VIRTLOCKD_BOGUS: "x", HOME: "/root" };
  assert.deepEqual([...buildConstants(env)], [["SYSCONFDIR", "/opt/etc"]]);
});

Deno.test("withConstants() changes the constants that it is given, and nothing else", () => {
  const result = withConstants(SOURCE, new Map([["SYSCONFDIR", '/opt/"$1"/etc']]));
  assert.equal(result, SOURCE.replace('"/etc"', () => '"/opt/\\"$1\\"/etc"'));
  assert.equal(withConstants(SOURCE, new Map()), SOURCE);
});

Deno.test("withConstants() refuses a constant that the source does not declare, or declares twice", () => {
  assert.throws(() => withConstants(SOURCE, new Map([["LOCALSTATEDIR", "/v"]])), {
    message: "Set LOCALSTATEDIR in build_config.ts: it is declared 0 times, want once",
  });
  assert.throws(() => withConstants(SOURCE + SOURCE, new Map([["SYSCONFDIR", "/v"]])), {
    message: "Set SYSCONFDIR in build_config.ts: it is declared 2 times, want once",
  });
});

Deno.test("each constant that a packager may set is in the sources", () => {
  const path = new URL("../../../src/chassis/config/build_config.ts", import.meta.url);
  const env = {
    VIRTLOCKD_SYSCONFDIR: "/a",
    VIRTLOCKD_RUNSTATEDIR: "/b",
    VIRTLOCKD_LOCALSTATEDIR: "/c",
  };
  const result = withConstants(Deno.readTextFileSync(path), buildConstants(env));
  assert.deepEqual([...result.matchAll(/: string = "(.*)"/g)].map(([, value]) => value), ["/a", "/b", "/c"]);
});
