import assert from "node:assert/strict";
import { hostEntry, knownSessions } from "../../../../../src/lockd/cli/cluster/known_hosts.ts";
import { knownLocks } from "../../../../../src/lockd/cli/cluster/known_locks.ts";
import { locksOf } from "../../../../../src/lockd/cli/cluster/locks.ts";
import { overviewOf, overviewText } from "../../../../../src/lockd/cli/cluster/status.ts";
import { UnreadableKeys } from "../../../../../src/lockd/cli/cluster/unreadable_keys.ts";
import { RecordError } from "../../../../../src/lockd/cluster/keys/record_fields.ts";
import { PlayedCluster } from "./played_cluster.ts";

const ADVICE = "docs/cluster-etcd.md says what to do with such a key";
const SETTINGS = { clusterName: "test", clusterEndpoints: ["http://played:2379"] };
const META = { schema: 2, spaces: ["scsi"], phase: "open", round: "r1", expect: [], without: [], why: "" };

/** Bytes that are no UTF-8, as the link reads them: JSON, but for a name in it. */
const NO_TEXT = JSON.stringify({
  session: "s-a",
  attempt: "x",
  domain: "DOMAIN",
  uuid: "u",
  pid: 7,
  start: 1,
  since: 0,
})
  .replace("DOMAIN", "\udcff");

/** A cluster with two hosts and a lock of each, and a key of each kind that somebody has written by hand. */
function spoilt(): PlayedCluster {
  const cluster = new PlayedCluster();
  cluster.put(cluster.keys.meta, META);
  cluster.host("a");
  cluster.host("b");
  cluster.lock("s-a", "one");
  cluster.lock("s-b", "two", true);
  cluster.spoil(cluster.keys.exclusive({ space: "scsi", name: "three" }), NO_TEXT);
  cluster.spoil("/virtlockd/test/share/scsi/four/s-a", "hello");
  cluster.spoil(cluster.keys.session("s-c"), "[]");
  cluster.spoil(cluster.keys.silence("s-b"), "{}");
  return cluster;
}

const WRONG = {
  silence: "/virtlockd/test/silent/s-b has no number as its since",
  session: "/virtlockd/test/session/s-c has no text as its host",
  lock: "/virtlockd/test/lock/scsi/three holds bytes that are no text",
  share: "/virtlockd/test/share/scsi/four/s-a holds no record",
} as const;

Deno.test("lists go on without what cannot be read, and name each such key at their end", () => {
  const { questions, keys } = spoilt();
  const unreadable = new UnreadableKeys();
  const sessions = knownSessions(questions, keys, unreadable.read).map(hostEntry);
  assert.deepEqual(sessions.map(({ host, state }) => [host, state]), [["a", "live"], ["b", "live"]]);
  const locks = knownLocks(questions, keys, sessions, unreadable.read);
  assert.deepEqual(locks.map(({ name, host }) => [name, host]), [["one", "kvm-a"], ["two", "kvm-b"]]);
  assert.deepEqual(unreadable.found, [WRONG.silence, WRONG.session, WRONG.lock, WRONG.share]);
  assert.throws(() => unreadable.tell(), {
    code: 1,
    message:
      `4 keys in etcd cannot be read, and nothing of that is shown: ${WRONG.silence}; ${WRONG.session}; ` +
      `${WRONG.lock}; ${WRONG.share}. ${ADVICE}`,
  });
  new UnreadableKeys().tell();
});

Deno.test("whoever decides anything by a list is told the key, and decides nothing", () => {
  const { questions, keys } = spoilt();
  assert.throws(() => knownSessions(questions, keys), new RecordError(WRONG.silence));
  assert.throws(() => knownLocks(questions, keys, []), new RecordError(WRONG.lock));
});

Deno.test("a host of which it cannot be read which of its sessions is heard of is not called silent", () => {
  const cluster = new PlayedCluster();
  cluster.host("a");
  cluster.spoil(cluster.keys.host("a"), "\udc80");
  const unreadable = new UnreadableKeys();
  const [a] = knownSessions(cluster.questions, cluster.keys, unreadable.read);
  assert.equal(a?.state, "live");
  assert.deepEqual(unreadable.found, ["/virtlockd/test/host/a holds bytes that are no text"]);
});

Deno.test("a host that is not listed may be among what cannot be read, which is told first", () => {
  const { questions, keys } = spoilt();
  const unreadable = new UnreadableKeys();
  const sessions = knownSessions(questions, keys, unreadable.read).map(hostEntry);
  assert.throws(
    () => locksOf([], sessions, "kvm-c", () => unreadable.tell()),
    /2 keys in etcd cannot be read/,
  );
  assert.throws(() => locksOf([], sessions, "kvm-c"), /There is no host 'kvm-c'/);
});

Deno.test("status counts what can be read, and says that it does not know what cannot", () => {
  const cluster = spoilt();
  const unreadable = new UnreadableKeys();
  const seen = overviewOf({ settings: SETTINGS, ...cluster }, unreadable.read);
  assert.deepEqual([seen.phase, seen.hosts.live, seen.locks], ["open", 2, 2]);
  assert.deepEqual(unreadable.found, [WRONG.silence, WRONG.session, WRONG.lock, WRONG.share]);
  cluster.spoil(cluster.keys.meta, "\udcff");
  const without = overviewOf({ settings: SETTINGS, ...cluster }, unreadable.read);
  assert.deepEqual([without.founded, without.phase], [true, undefined]);
  assert.match(overviewText(without), /^state: +not known\nlock directories: +not known$/m);
  cluster.put(cluster.keys.meta, { ...META, phase: "forming", expect: ["a"] });
  cluster.spoil(cluster.keys.entry("a"), "\udcff");
  const closed = overviewOf({ settings: SETTINGS, ...cluster }, unreadable.read);
  assert.deepEqual([closed.phase, closed.awaited], ["forming", undefined]);
  assert.throws(() => unreadable.tell(), /; \/virtlockd\/test\/entry\/a holds bytes that are no text; /);
});
