import assert from "node:assert/strict";
import { Orphans } from "../../../../src/lockd/cluster/orphans.ts";
import { PlayedTime } from "../../../support/played_time.ts";

const HOLDER = { session: "s", attempt: "a", domain: "d", uuid: "u", pid: 7, start: 9, since: 0 };
const LOCK = { key: "k", own: "o", value: "v" };

Deno.test("a lock of nobody's is kept while its process lives, and as long as its writes may come", () => {
  const time = new PlayedTime();
  const given: string[] = [];
  let alive = true;
  const orphans = new Orphans({
    locks: { give: ({ key }) => void given.push(key) },
    loop: time.loop(),
    lives: (pid, start) => alive && pid === 7 && start === 9,
    settle: () => 30_000,
  });
  orphans.add(LOCK, HOLDER);
  time.advance();
  time.advance();
  assert.deepEqual([given, orphans.size, time.now], [[], 1, 6000]);
  alive = false;
  time.advance();
  assert.deepEqual([given, orphans.size, time.now], [[], 0, 9000]);
  time.advance();
  assert.deepEqual([given, time.now], [["k"], 39_000]);
});
