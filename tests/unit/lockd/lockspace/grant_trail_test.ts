import assert from "node:assert/strict";
import { GrantTrail } from "../../../../src/lockd/lockspace/grant_trail.ts";
import { resource } from "../programs/lock_fixture.ts";

Deno.test("GrantTrail forgets a lock that was given back before the next one was granted", () => {
  const trail = new GrantTrail();
  const [first, second, third] = [1, 2, 3].map((id) => resource({ id }));
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  trail.granted(first);
  trail.granted(second);
  second.holdings.length = 0;
  trail.granted(third);
  assert.deepEqual(trail.ids, { refused: [], granted: [1, 3] });
  trail.refused();
  assert.deepEqual(trail.end(), [first, third]);
});
