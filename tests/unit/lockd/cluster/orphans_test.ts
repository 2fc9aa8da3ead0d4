import assert from "node:assert/strict";
import { Orphans } from "../../../../src/lockd/cluster/orphans.ts";
import type { Verdict } from "../../../../src/lockd/lockspace/settler.ts";
import type { Sight } from "../../../../src/lockd/lockspace/written_files.ts";
import { PlayedTime } from "../../../support/played_time.ts";

const HOLDER = { session: "s", attempt: "a", domain: "d", uuid: "u", pid: 7, start: 9, since: 0 };
const LOCK = { key: "k", own: "o", value: "v" };
const OVER: Verdict = { kind: "over" };
const UNKNOWN: Verdict = { kind: "unknown", reason: "who knows" };
const SEEN: Sight = { qemu: true, files: [{ path: "/dev/sda", guard: "08:00:1" }] };

/** A host with one process. */
class World {
  readonly time = new PlayedTime();
  readonly given: string[] = [];
  readonly judged: Sight[] = [];
  alive = true;
  verdict = UNKNOWN;
  readonly orphans = new Orphans({
    give: ({ key }) => void this.given.push(key),
    loop: this.time.loop(),
    lives: (pid, start) => this.alive && pid === 7 && start === 9,
    lastWrites: {
      look: (pid) => pid === 7 ? SEEN : undefined,
      judge: (sight, done) => {
        this.judged.push(sight);
        done(this.verdict);
      },
    },
  });
}

Deno.test("a lock of nobody's is kept while its process lives, and until its last writes have landed", () => {
  const world = new World();
  world.orphans.add(LOCK, HOLDER);
  for (let look = 0; look < 3; look++) world.time.advance();
  assert.deepEqual([world.given, world.judged, world.orphans.has("k")], [[], [], true]);
  world.alive = false;
  for (let look = 0; look < 1000; look++) world.time.advance();
  assert.deepEqual([world.given, world.orphans.size], [[], 1]);
  assert.deepEqual(world.judged[0], SEEN);
  world.verdict = OVER;
  world.time.advance();
  assert.deepEqual([world.given, world.orphans.size], [["k"], 0]);
});

Deno.test("a lock whose process is gone already is judged as that of a QEMU which nobody has seen", () => {
  const world = new World();
  world.alive = false;
  world.verdict = OVER;
  world.orphans.add(LOCK, HOLDER);
  world.time.advance();
  assert.deepEqual([world.given, world.judged], [["k"], [{ qemu: true, files: [] }]]);
});

Deno.test("a lock that has an owner again is nobody's no more", () => {
  const world = new World();
  world.orphans.add(LOCK, HOLDER);
  world.orphans.forget("k");
  world.alive = false;
  world.verdict = OVER;
  world.time.advance();
  assert.deepEqual([world.given, world.orphans.has("k")], [[], false]);
});
