import assert from "node:assert/strict";
import type { Answer } from "../../../../../src/etcd/wire/link_messages.ts";
import { ClusterKeys } from "../../../../../src/lockd/cluster/keys/keys.ts";
import { encodeRecord } from "../../../../../src/lockd/cluster/keys/records.ts";
import { AskLimit } from "../../../../../src/lockd/cluster/locks/ask_limit.ts";
import {
  OtherHolders,
  type OtherHoldersParts,
} from "../../../../../src/lockd/cluster/locks/other_holders.ts";
import { PlayedTime } from "../../../../support/played_time.ts";

const KEYS = new ClusterKeys("test");
const NAME = { space: "scsi", name: "disk" };
const HOLDER = { domain: "web", uuid: "u", pid: 7, start: 9, since: 0 };
const WANTED = {
  name: NAME,
  shared: false,
  holder: { ...HOLDER, domain: "db" },
  resumed: () => true,
  limit: new AskLimit({ loop: new PlayedTime().loop(), clock: () => 0 }, 5000),
};
const EPOCH = { sessionKey: KEYS.session("s"), session: 5, metaKey: KEYS.meta, meta: 1 };
const OWN = encodeRecord({ session: "s", attempt: "a", ...HOLDER });
const THEIRS = encodeRecord({ session: "t", attempt: "a", ...HOLDER });

function exclusive(...values: readonly string[]): Answer {
  const found = values.map((value) => ({ key: KEYS.exclusive(NAME), value, changedAt: 3 }));
  return {
    kind: "transaction",
    result: { succeeded: true, results: [{ found, more: false }], cluster: "1", revision: 6 },
  };
}

/** Asks for a lock to be cleared. @param answers of etcd, one after the other */
function cleared(
  answers: readonly Answer[],
  parts: Partial<OtherHoldersParts> = {},
  silentSince?: number,
  limit = WANTED.limit,
) {
  const left = [...answers];
  const told: string[] = [];
  const others = new OtherHolders({
    session: {
      id: "s",
      whenLive: (_until, ready) => ready(EPOCH),
      ask: (_transaction, done) => done(left.shift() ?? assert.fail("nothing more is asked")),
    },
    keys: KEYS,
    names: {
      name: ({ session, ...holder }, shared, done) =>
        done({
          kind: "host",
          host: `host of ${session}`,
          shared,
          ...holder,
          ...silentSince === undefined ? {} : { silentSince },
        }),
    },
    wants: {
      ask: ({ of }, done) => {
        told.push(`asks ${of}`);
        done("answered");
      },
    },
    silent: ({ name }, reason) => void told.push(`${name} is silent: ${reason}`),
    fencedLocks: { free: (_epoch, _entry, done) => done({ kind: "stays" }) },
    ...parts,
  });
  const outcomes: string[] = [];
  others.clear({ ...WANTED, limit }, (outcome) => {
    if (outcome === "free") return void outcomes.push("free");
    outcomes.push(
      outcome.kind === "failed"
        ? outcome.reason
        : `${outcome.kind} by ${"host" in outcome.by ? outcome.by.host : ""}`,
    );
  });
  assert.equal(left.length, 0);
  return { outcomes, told };
}

Deno.test("a lock that no other host has is free, whatever this one has", () => {
  assert.deepEqual(cleared([exclusive()]), { outcomes: ["free"], told: [] });
  assert.deepEqual(cleared([exclusive(OWN)]), { outcomes: ["free"], told: [] });
});

Deno.test("another host is asked once for the lock that it has: it is free then, or that host's", () => {
  assert.deepEqual(cleared([exclusive(THEIRS), exclusive()]), { outcomes: ["free"], told: ["asks t"] });
  assert.deepEqual(cleared([exclusive(THEIRS), exclusive(THEIRS)]), {
    outcomes: ["held by host of t"],
    told: ["asks t"],
  });
});

Deno.test("a host that is not heard of is not asked, and whoever fences is told of what for", () => {
  assert.deepEqual(cleared([exclusive(THEIRS)], {}, 7), {
    outcomes: ["held by host of t"],
    told: ["host of t is silent: domain 'db' asks for the lock scsi/disk of domain 'web'"],
  });
});

Deno.test("who has not answered when it was asked keeps the lock", () => {
  const wants = { ask: (_want: unknown, done: (outcome: "silent") => void) => done("silent") };
  assert.deepEqual(cleared([exclusive(THEIRS)], { wants }).outcomes, ["held by host of t"]);
});

Deno.test("a lock of a host that was fenced is looked at again once it is free", () => {
  let freed = 0;
  const fencedLocks: OtherHoldersParts["fencedLocks"] = {
    free: (_epoch, _entry, done) => {
      freed++;
      done({ kind: "again" });
    },
  };
  assert.deepEqual(cleared([exclusive(THEIRS), exclusive()], { fencedLocks }).outcomes, ["free"]);
  assert.equal(freed, 1);
  // This host's session was written anew right before: it was not freed, and its host was not asked either.
  let moved = 1;
  const later: OtherHoldersParts["fencedLocks"] = {
    free: (_epoch, _entry, done) => done({ kind: moved-- > 0 ? "again" : "stays" }),
  };
  assert.deepEqual(cleared([exclusive(THEIRS), exclusive(THEIRS), exclusive()], { fencedLocks: later }), {
    outcomes: ["free"],
    told: ["asks t"],
  });
  const failing: OtherHoldersParts["fencedLocks"] = {
    free: (_epoch, _entry, done) => done({ kind: "failed", reason: "etcd is full" }),
  };
  assert.deepEqual(cleared([exclusive(THEIRS)], { fencedLocks: failing }).outcomes, ["etcd is full"]);
});

Deno.test("a host that could not be asked, as while this one's session was written anew, is asked again", () => {
  const outcomes = ["unasked", "answered"] as const;
  let asked = 0;
  const wants: OtherHoldersParts["wants"] = {
    ask: (_want, done) => done(outcomes[asked++] ?? assert.fail("it is asked once more")),
  };
  const found = [exclusive(THEIRS), exclusive(THEIRS), exclusive()];
  assert.deepEqual([cleared(found, { wants }).outcomes, asked], [["free"], 2]);
});

Deno.test("what cannot be read or is not answered is a failure, and never a free lock", () => {
  assert.deepEqual(cleared([exclusive("{")]).outcomes, [
    `${KEYS.exclusive(NAME)} holds no record (docs/cluster-etcd.md says what to do with such a key)`,
  ]);
  assert.deepEqual(cleared([{ kind: "unknown", reason: "cut" }]).outcomes, ["cut"]);
});

Deno.test("for somebody who has been refused no other host is asked", () => {
  const time = new PlayedTime();
  const limit = new AskLimit({ loop: time.loop(), clock: () => time.now }, 1000);
  limit.whenOver(() => {});
  time.advance();
  assert.deepEqual(cleared([exclusive(THEIRS)], {}, undefined, limit), {
    outcomes: ["held by host of t"],
    told: [],
  });
});
