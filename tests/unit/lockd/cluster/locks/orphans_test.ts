import assert from "node:assert/strict";
import { Orphans, orphanUse } from "../../../../../src/lockd/cluster/locks/orphans.ts";
import { ClusterKeys } from "../../../../../src/lockd/cluster/keys/keys.ts";
import { Lineage } from "../../../../../src/lockd/cluster/keys/lineage.ts";
import type { Verdict } from "../../../../../src/lockd/lockspace/settler.ts";
import type { Sight } from "../../../../../src/lockd/lockspace/written_files.ts";
import { PlayedTime } from "../../../../support/played_time.ts";

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
  /** What happens before a process is looked at. */
  before = () => {};
  seen = SEEN;
  alive = true;
  verdict = UNKNOWN;
  /** Whether etcd has the lock. */
  there = true;
  busy = false;
  readonly orphans = new Orphans({
    give: ({ key }) => void this.given.push(key),
    busy: () => this.busy,
    whenGone: (_lock, gone) => this.there ? undefined : gone(),
    loop: this.time.loop(),
    lives: (pid, start) => this.alive && pid === 7 && start === 9,
    lastWrites: {
      look: (pid) => {
        this.before();
        return pid === 7 ? this.seen : undefined;
      },
      judge: (sight, done) => {
        this.judged.push(sight);
        done(this.verdict);
      },
    },
  });
}

Deno.test("a lock is its process's again when that is known, and no other one's", () => {
  const world = new World();
  world.orphans.add(LOCK, HOLDER, "alone");
  assert.deepEqual(
    [{ ...HOLDER, start: 8 }, { ...HOLDER, uuid: "w" }].map((other) => world.orphans.take("k", other)),
    [undefined, undefined],
  );
  world.busy = true;
  assert.equal(world.orphans.take("k", HOLDER), undefined);
  world.busy = false;
  assert.equal(world.orphans.take("l", HOLDER), undefined);
  assert.deepEqual(world.orphans.take("k", HOLDER), LOCK);
  assert.equal(world.orphans.size, 0);
  // Others may have a share.
  world.orphans.add(LOCK, HOLDER, "shared");
  assert.equal(world.orphans.take("k", HOLDER), undefined);
});

Deno.test("a lock of nobody's is kept while its process lives, and until its last writes have landed", () => {
  const world = new World();
  world.orphans.add(LOCK, HOLDER, "alone");
  for (let look = 0; look < 3; look++) world.time.advance();
  assert.deepEqual([world.given, world.judged, world.orphans.useOf("k")], [[], [], "alone"]);
  world.alive = false;
  for (let look = 0; look < 1000; look++) world.time.advance();
  assert.deepEqual([world.given, world.orphans.size], [[], 1]);
  assert.deepEqual(world.judged[0], SEEN);
  world.verdict = OVER;
  world.time.advance();
  assert.deepEqual([world.given, world.orphans.size], [["k"], 0]);
});

Deno.test("a lock whose last writes cannot be judged is nobody's no more when a person has freed it", () => {
  const world = new World();
  world.orphans.add(LOCK, HOLDER, "alone");
  world.there = false;
  world.time.advance();
  // Its process may be using it.
  assert.deepEqual([world.orphans.size, world.orphans.leaving], [1, 0]);
  world.alive = false;
  assert.equal(world.orphans.leaving, 1);
  world.time.advance();
  assert.deepEqual([world.given, world.orphans.size, world.orphans.leaving], [[], 0, 0]);
});

Deno.test("a lock whose process is gone already is judged as that of a QEMU which nobody has seen", () => {
  const world = new World();
  world.alive = false;
  world.verdict = OVER;
  world.orphans.add(LOCK, HOLDER, "alone");
  world.time.advance();
  assert.deepEqual([world.given, world.judged], [["k"], [{ qemu: true, files: [] }]]);
});

Deno.test("a process that gets the pid of one which has just ended is not taken for it", () => {
  const world = new World();
  world.orphans.add(LOCK, HOLDER, "alone");
  world.before = () => {
    world.alive = false;
    world.seen = { qemu: false, files: [] };
  };
  world.time.advance();
  world.time.advance();
  assert.deepEqual(world.judged, [SEEN, SEEN]);
  // Nor when it ends at the first look.
  const other = new World();
  other.before = () => {
    other.alive = false;
    other.seen = { qemu: false, files: [] };
  };
  other.orphans.add(LOCK, HOLDER, "alone");
  other.time.advance();
  assert.deepEqual(other.judged, [{ qemu: true, files: [] }]);
});

Deno.test("a lock stays while it is being taken, for who takes it may find that it is theirs", () => {
  const world = new World();
  world.alive = false;
  world.verdict = OVER;
  world.busy = true;
  world.orphans.add(LOCK, HOLDER, "alone");
  for (let look = 0; look < 10; look++) world.time.advance();
  assert.deepEqual([world.given, world.orphans.useOf("k")], [[], "alone"]);
  world.busy = false;
  world.time.advance();
  assert.deepEqual([world.given, world.orphans.size], [["k"], 0]);
});

Deno.test("a lock that has an owner again is nobody's no more", () => {
  const world = new World();
  world.orphans.add(LOCK, HOLDER, "alone");
  world.orphans.forget("k");
  world.alive = false;
  world.verdict = OVER;
  world.time.advance();
  assert.deepEqual([world.given, world.orphans.useOf("k")], [[], undefined]);
});

Deno.test("a share stays when the process has ended that its record names: others of this host may have it", () => {
  const world = new World();
  world.verdict = OVER;
  world.orphans.add(LOCK, HOLDER, "shared");
  world.time.advance();
  world.alive = false;
  for (let look = 0; look < 1000; look++) world.time.advance();
  assert.deepEqual([world.given, world.judged, world.orphans.useOf("k")], [[], [], "shared"]);
  // It does not keep this host out of a cluster that is closed: it may stay for long.
  assert.equal(world.orphans.leaving, 0);
  // A person has freed it.
  world.there = false;
  world.time.advance();
  assert.deepEqual([world.given, world.orphans.size], [[], 0]);
});

Deno.test("a share is nobody's but its process's where this daemon's lineage has taken it, and else perhaps others'", () => {
  const keys = new ClusterKeys("prod");
  const name = { space: "scsi", name: "disk" };
  const [lineage, other] = [new Lineage("one"), new Lineage("one1")];
  const use = (key: string, attempt: string) => orphanUse({ keys, lineage }, key, { ...HOLDER, attempt });
  const [alone, share] = [keys.exclusive(name), keys.share(name, "s")];
  assert.equal(use(alone, other.attempt()), "alone");
  assert.equal(use(share, lineage.attempt()), "alone");
  assert.equal(use(share, other.attempt()), "shared");
  // As an earlier version has written it.
  assert.equal(use(share, "f4d1b2a8-1f52-4c55-a5a4-8e6f3f1ab001"), "shared");
});
