import assert from "node:assert/strict";
import { mayResumeStale } from "../../../../src/lockd/daemon/core_settings.ts";

const WEB = { name: "web1", uuid: "6ba7b810-9dad-41d1-80b4-00000000002a" };

Deno.test("a guest goes on over what others have written when it is named, by name or uuid, or when all may", () => {
  const allowed = (allowStaleResume: boolean, ...staleResumeGuests: string[]) =>
    mayResumeStale({ allowStaleResume, staleResumeGuests }, WEB);
  assert.equal(allowed(false), false);
  assert.equal(allowed(true), true);
  assert.equal(allowed(false, "db1", "web1"), true);
  assert.equal(allowed(false, "6BA7B8109DAD41D180B400000000002A"), true);
  assert.equal(allowed(false, "web", "web10", "6ba7b810-9dad-41d1-80b4-00000000002b"), false);
});
