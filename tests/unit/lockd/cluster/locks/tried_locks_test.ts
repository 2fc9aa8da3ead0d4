import assert from "node:assert/strict";
import type { Answer } from "../../../../../src/etcd/wire/link_messages.ts";
import { ClusterKeys } from "../../../../../src/lockd/cluster/keys/keys.ts";
import { decodePaused } from "../../../../../src/lockd/cluster/keys/lock_holder.ts";
import { encodeRecord } from "../../../../../src/lockd/cluster/keys/records.ts";
import { AskLimit } from "../../../../../src/lockd/cluster/locks/ask_limit.ts";
import { type Came, TriedLocks } from "../../../../../src/lockd/cluster/locks/tried_locks.ts";
import type { TriedLock } from "../../../../../src/lockd/cluster/locks/wanted_lock.ts";
import { PlayedTime } from "../../../../support/played_time.ts";

const KEYS = new ClusterKeys("test");
/** Five seconds, of which none passes. */
function limit(): AskLimit {
  const time = new PlayedTime();
  return new AskLimit({ loop: time.loop(), clock: () => time.now }, 5000);
}

const NAME = { space: "scsi", name: "disk" };
const HOLDER = { domain: "web", uuid: "u", pid: 7, start: 9, since: 0 };
const EPOCH = { sessionKey: KEYS.session("s"), session: 5, metaKey: KEYS.meta, meta: 1 };
const KEY = KEYS.exclusive(NAME);
const VALUE = encodeRecord({ session: "s", attempt: "a", ...HOLDER });
const LOCK: TriedLock = { key: KEY, own: KEYS.own("s", KEY), value: VALUE };
const WANTED = { name: NAME, shared: false, holder: HOLDER, resumed: () => true, limit: limit() };

function has(value: string | undefined): Answer {
  const found = value === undefined ? [] : [{ key: KEY, value, changedAt: 3 }];
  return {
    kind: "transaction",
    result: { succeeded: true, results: [{ found, more: false }], cluster: "1", revision: 6 },
  };
}

/** @param answers of etcd, one after the other @param live how often who has a limit can ask */
function settled(lock: TriedLock, answers: readonly Answer[], live = Infinity) {
  const told: string[] = [];
  const came: Came[] = [];
  const left = [...answers];
  const tried = new TriedLocks({
    session: {
      whenLive: (until, ready, failed) => {
        if (until === Infinity || live-- > 0) ready(EPOCH);
        else failed("etcd is away");
      },
      ask: (_transaction, done) => done(left.shift() ?? assert.fail("nothing more is asked")),
      doubt: (reason) => void told.push(`doubt: ${reason}`),
    },
    keys: KEYS,
    lineage: { wrote: ({ attempt }) => attempt === "a" },
    loop: new PlayedTime().loop(),
    turns: {
      inTurn: (key, task) => task(() => void told.push(`end ${key}`)),
      give: ({ key }, _done, mark) => {
        const used = mark && decodePaused(mark).used;
        told.push(`give ${key}, mark ${mark?.key}${used === undefined ? "" : `, used by ${used.domain}`}`);
      },
      markOf: () => ({ key: "mark", own: "o", value: VALUE }),
    },
    orphans: () => ({ add: ({ key }, { attempt }, use) => void told.push(`keep ${key} ${attempt} ${use}`) }),
    tries: { end: () => void told.push("it is not there") },
  });
  tried.settle({ lock, wanted: WANTED, reason: "no answer" }, (each) => void came.push(each));
  assert.equal(left.length, 0);
  return { came, told };
}

Deno.test("a lock whose outcome was not known is had when etcd has this very record", () => {
  assert.deepEqual(settled(LOCK, [has(VALUE)]), { came: [{ kind: "had" }], told: [] });
  assert.deepEqual(settled(LOCK, [has("another try's")]).came, [{ kind: "absent" }]);
  assert.deepEqual(settled(LOCK, [has(undefined)]).came, [{ kind: "absent" }]);
});

Deno.test("a look that is not answered is made again, behind a new doubt", () => {
  assert.deepEqual(settled(LOCK, [{ kind: "unknown", reason: "cut" }, has(VALUE)]), {
    came: [{ kind: "had" }],
    told: ["doubt: cut"],
  });
});

Deno.test("whoever does not wait any longer has nothing: what etcd may have is given back", () => {
  const failed = [{ kind: "failed", reason: "no answer" }];
  assert.deepEqual(settled(LOCK, [], 0), {
    came: failed,
    told: [`give ${KEY}, mark undefined`],
  });
  // A guest that was paused gets the mark again that it had.
  const used = { session: "t", domain: "db", uuid: "u-db", pid: 9, start: 8, since: 7 };
  for (const says of [{}, { used }]) {
    const marks = {
      seen: [{
        key: "d",
        value: JSON.stringify({ session: "s", attempt: "b", ...HOLDER, ...says }),
        changedAt: 2,
      }],
      changed: [{ key: "m", before: "b", after: "a" }],
      dropped: [{ key: "d", own: "o" }],
    };
    const said = "used" in says ? ", used by db" : "";
    assert.deepEqual(settled({ ...LOCK, marks }, [], 0), {
      came: failed,
      told: [`give ${KEY}, mark mark${said}`],
    });
  }
});

Deno.test("what took the place of a living process's lock is kept for it, if it came", () => {
  const again = { ...LOCK, again: true } as const;
  assert.deepEqual(settled(again, [has(VALUE)], 0).told, [`keep ${KEY} a alone`, `end ${KEY}`]);
  assert.deepEqual(settled(again, [has("before")], 0).told, ["it is not there", `end ${KEY}`]);
  // A share of this daemon's own lineage is nobody else's.
  const key = KEYS.share(NAME, "s");
  const share = { ...again, key, own: KEYS.own("s", key) };
  assert.deepEqual(settled(share, [has(VALUE)], 0).told, [`keep ${key} a alone`, `end ${key}`]);
});

Deno.test("lookUp() looks once, and says that a lock is absent apart from everything else", () => {
  let absent = 0;
  const tried = new TriedLocks({
    session: {
      whenLive: () => assert.fail("it is asked at once"),
      ask: (_transaction, done) => done(has(undefined)),
      doubt: () => assert.fail("it is answered"),
    },
    keys: KEYS,
    lineage: { wrote: ({ attempt }) => attempt === "a" },
    loop: new PlayedTime().loop(),
    turns: {
      inTurn: () => assert.fail(),
      give: () => assert.fail(),
      markOf: () => assert.fail(),
    },
    orphans: () => assert.fail(),
    tries: { end: () => assert.fail() },
  });
  tried.lookUp({ lock: LOCK, wanted: WANTED, reason: "full" }, () => assert.fail(), () => absent++);
  assert.equal(absent, 1);
});
