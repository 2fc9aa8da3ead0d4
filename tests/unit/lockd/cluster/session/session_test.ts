import assert from "node:assert/strict";
import { holding, resource } from "../../programs/lock_fixture.ts";
import type { Question } from "../../../../../src/etcd/wire/link_messages.ts";
import type { Conflict } from "../../../../../src/lockd/cluster/session/conflict.ts";
import type { SessionNote } from "../../../../../src/lockd/cluster/host/membership_file.ts";
import { ClusterKeys } from "../../../../../src/lockd/cluster/keys/keys.ts";
import { decodeMeta, encodeMeta } from "../../../../../src/lockd/cluster/keys/meta_record.ts";
import { encodeRecord } from "../../../../../src/lockd/cluster/keys/records.ts";
import { decodeSession } from "../../../../../src/lockd/cluster/keys/session_record.ts";
import { LEFT_BEHIND, LEFT_OUT } from "../../../../../src/lockd/cluster/session/doubts.ts";
import { LEFT } from "../../../../../src/lockd/cluster/session/lost_reasons.ts";
import type { Past } from "../../../../../src/lockd/cluster/session/past.ts";
import { ClusterSession } from "../../../../../src/lockd/cluster/session/session.ts";
import { PlayedEtcd } from "../../../../cluster_model/played_etcd.ts";
import { PlayedTime } from "../../../../support/played_time.ts";

const META = { spaces: ["scsi"], phase: "open", round: "r1", expect: [], without: [], why: "" } as const;

/** An etcd, and daemons that are members of a cluster there. */
class Stage {
  readonly etcd = new PlayedEtcd("none");
  readonly keys = new ClusterKeys("test");
  readonly time = new PlayedTime();
  readonly told: string[] = [];
  readonly troubles: string[] = [];
  /** What etcd can tell whenever a host puts in what it has. */
  readonly pasts: Past[] = [];
  /** Hosts whose questions are lost. */
  readonly cut = new Set<string>();
  /** Whether etcd says that it is full, of what it has just written. */
  full = false;
  /** What another session has of what each host has. */
  conflicts: readonly Conflict[] = [];
  /** How the link with etcd is, of every host, and how often it was looked at. */
  readonly link: { state: "works" | "is being started" | "is not there"; looks: number } = {
    state: "works",
    looks: 0,
  };
  /** How long whoever asks waits for a host to join. */
  joinMs = 0;
  /** How many locks each host has. */
  held = 1;
  /** Whether hosts are giving locks back. */
  givesBack = false;
  /** Why no host can put in what it has. */
  unread: string | undefined;
  #nonces = 0;

  constructor() {
    this.etcd.put(this.keys.meta, encodeMeta(META));
    this.#tick();
  }

  /** Time passes also when nobody waits for anything. */
  #tick(): void {
    this.time.after(1000, () => this.#tick());
  }

  /** A daemon on a host, perhaps one that goes on with an earlier one's session. */
  session(
    name: string,
    host = name,
    note?: SessionNote,
    spaces: readonly string[] = META.spaces,
  ): ClusterSession {
    const loop = this.time.loop();
    const tell = (text: string) => void this.told.push(`${name} ${text}`);
    const { link } = this;
    const session = new ClusterSession({
      etcd: {
        get unreachable() {
          link.looks++;
          return link.state === "works" ? undefined : `the link ${link.state}`;
        },
        get starting() {
          return link.state === "is being started";
        },
        ask: (question: Question, limitMs, done) => {
          if (this.cut.has(name)) {
            loop.after(limitMs, () => done({ kind: "unknown", reason: "no answer" }));
          } else {
            loop.defer(() => {
              const answer = this.etcd.apply(question, this.time.now);
              const writes = question.kind === "transaction" &&
                question.transaction.success.some(({ op }) => op === "put");
              done(this.full && writes ? { kind: "full", reason: "etcd is full" } : answer);
            });
          }
        },
      },
      loop,
      clock: () => this.time.now,
      keys: this.keys,
      host: { id: host, name: host, boot: "b1", daemon: { place: name, pid: 1, start: 1 } },
      isEarlier: ({ place }) => this.ended.has(place),
      spaces,
      nonce: () => `n${++this.#nonces}`,
      note,
      joinMs: () => this.joinMs,
      keep: (written) => {
        this.kept.set(name, written);
        return undefined;
      },
      holds: () => this.held > 0,
      held: () => this.held,
      has: () => this.conflicts.length > 0,
      look: () => undefined,
      givesBack: () => this.givesBack,
      left: () => tell("left"),
      marksGone: () => {},
      gaveUp: (doubt) => tell(`gave up: ${doubt}`),
      reconcile: (_epoch, done, past) => {
        this.pasts.push(past);
        done(this.unread ?? this.conflicts);
      },
      observer: {
        clusterJoined: () => tell("joined"),
        clusterTroubled: (reason) => void this.troubles.push(reason),
        clusterLost: (reason) => tell(`lost: ${reason}`),
        clusterRecovered: () => {},
        clusterCondemned: () => {},
        clusterFenced: () => {},
        clusterDoubtful: (_, reason) => tell(`doubtful: ${reason}`),
      },
    });
    session.begin();
    return session;
  }

  /** Daemons that have ended, by their names. */
  readonly ended = new Set<string>();
  readonly kept = new Map<string, SessionNote>();

  /** Lets time pass. @param seconds how much, at least */
  pass(seconds: number): void {
    const until = this.time.now + seconds * 1000;
    while (this.time.now < until) this.time.advance();
  }

  get phase(): string {
    return decodeMeta({ key: "", value: this.etcd.get(this.keys.meta) ?? "", changedAt: 0 }).phase;
  }
}

Deno.test("a copy of a host's memory finds its connection gone: one of the two goes on, and the other one is lost", () => {
  const stage = new Stage();
  const original = stage.session("original", "h1");
  stage.pass(2);
  assert.equal(original.state.kind, "live");
  // What a restored image asks first is not answered.
  stage.cut.add("copy");
  const copy = stage.session("copy", "h1", stage.kept.get("original"));
  stage.pass(5);
  stage.cut.delete("copy");
  stage.pass(10);
  assert.deepEqual([original.state.kind, copy.state.kind], ["lost", "live"]);
  assert.deepEqual(stage.told, [
    "original joined",
    "copy joined",
    "original lost: somebody else writes this host's session: a copy of this host is running",
  ]);
});

Deno.test("a host that is lost to its copy stays so when its daemon is started anew, and none goes on with a session that follows", () => {
  const stage = new Stage();
  const original = stage.session("original", "h1");
  stage.pass(2);
  const before = stage.kept.get("original");
  const copy = stage.session("copy", "h1", before);
  stage.pass(20);
  assert.deepEqual([original.state.kind, copy.state.kind], ["lost", "live"]);
  for (const each of ["original", "copy"]) stage.ended.add(each);
  original.close();
  const restarted = stage.session("restarted", "h1", stage.kept.get("original"));
  stage.pass(20);
  assert.deepEqual([restarted.state.kind, copy.state.kind], ["lost", "live"]);
  const first = copy.id;
  const key = stage.keys.session(first);
  const fencing = { state: "fenced", by: "ann", from: "desk", at: 0 } as const;
  const record = decodeSession({ key, value: stage.etcd.get(key) ?? "", changedAt: 0 });
  stage.etcd.put(key, encodeRecord({ ...record, fencing }));
  // The first one that asks goes on in the session that follows. The other one finds that somebody does.
  const late = stage.session("late", "h1", before);
  stage.pass(20);
  assert.deepEqual([late.state.kind, late.id], ["live", `${first}.2`]);
  assert.deepEqual([copy.state.kind, copy.id], ["unsure", first]);
  assert.match(stage.troubles.at(-1) ?? "", /^another one that calls itself h1 \('h1'\) was heard of/);
});

Deno.test("a copy of a host on the same kernel waits, and the host that was there keeps its session", () => {
  const stage = new Stage();
  const original = stage.session("original", "h1");
  stage.pass(2);
  const copy = stage.session("copy", "h1");
  stage.pass(30);
  assert.deepEqual([original.state.kind, copy.state.kind], ["live", "joining"]);
  assert.deepEqual(stage.told, ["original joined"]);
  assert.match(stage.troubles.at(-1) ?? "", /^another one that calls itself h1 /);
  // It is on its way out: its place is free when it is not heard of any more, and its session stays its own.
  original.close();
  stage.pass(15);
  assert.equal(copy.state.kind, "live");
  assert.notEqual(copy.id, original.id);
});

Deno.test("of two that call themselves alike and begin at once one waits", () => {
  const stage = new Stage();
  const both = [stage.session("one", "h1"), stage.session("other", "h1")];
  stage.pass(30);
  assert.deepEqual(both.map(({ state }) => state.kind).sort(), ["joining", "live"]);
  assert.equal(stage.told.length, 1);
});

Deno.test("a daemon that has lost its note goes on with the session of the one before, at once", () => {
  const stage = new Stage();
  const before = stage.session("before", "h1");
  stage.pass(2);
  before.close();
  stage.ended.add("before");
  const next = stage.session("next", "h1");
  stage.pass(2);
  assert.deepEqual([next.state.kind, next.id], ["live", before.id]);
  assert.deepEqual(stage.pasts, ["first", "known"]);
});

Deno.test("a session that a full etcd has written all the same is not taken for one of a copy of this host", () => {
  const stage = new Stage();
  const session = stage.session("a");
  stage.pass(2);
  stage.full = true;
  session.doubt("why ever");
  stage.pass(5);
  assert.equal(session.state.kind, "unsure");
  stage.full = false;
  stage.pass(5);
  assert.deepEqual([session.state.kind, stage.told], ["live", ["a joined"]]);
});

Deno.test("what keeps a session in doubt by now is said, not what it began with", () => {
  const stage = new Stage();
  const session = stage.session("a");
  stage.pass(2);
  session.doubt("the link has ended");
  stage.full = true;
  stage.pass(5);
  assert.deepEqual(session.state, { kind: "unsure", reason: "etcd is full" });
});

Deno.test("who asks waits for a link that is being started as long as he does for anything, and else for 5 s", () => {
  const stage = new Stage();
  const first = stage.session("a");
  stage.pass(10);
  first.close();
  stage.link.state = "is being started";
  const next = stage.session("a", "a", stage.kept.get("a"));
  const told: string[] = [];
  const ask = (seconds: number) =>
    next.whenLive(stage.time.now + seconds * 1000, () => told.push("had"), (reason) => told.push(reason));
  ask(30);
  stage.pass(20);
  assert.deepEqual(told, []);
  stage.link.state = "works";
  next.reachable();
  stage.pass(1);
  assert.deepEqual(told.splice(0), ["had"]);
  stage.link.state = "is not there";
  stage.cut.add("a");
  stage.pass(10);
  ask(30);
  assert.deepEqual(told.splice(0), ["the link is not there"]);
  stage.link.state = "works";
  // It has just come up, and etcd had no time to answer yet.
  next.reachable();
  ask(30);
  stage.pass(4);
  assert.deepEqual(told, []);
  stage.pass(4);
  assert.equal(told.length, 1);
});

Deno.test("what a host gives back waits while a full etcd does not take its session, and goes on when there is room", () => {
  const stage = new Stage();
  const session = stage.session("a");
  stage.pass(2);
  stage.full = true;
  session.doubt("the link has ended");
  const given: string[] = [];
  session.whenLive(Infinity, () => given.push("given back"), (reason) => given.push(reason));
  session.whenLive(stage.time.now + 3000, () => given.push("taken"), (reason) => given.push(reason));
  stage.pass(60);
  assert.deepEqual(given, ["etcd is full"]);
  stage.full = false;
  stage.pass(2);
  assert.deepEqual(given, ["etcd is full", "given back"]);
});

Deno.test("a look at the session that is not answered is a reason to write it anew", () => {
  const stage = new Stage();
  const session = stage.session("a");
  stage.pass(2);
  const before = stage.etcd.get(stage.keys.session(session.id));
  stage.cut.add("a");
  stage.pass(8);
  assert.equal(session.state.kind, "unsure");
  stage.cut.delete("a");
  stage.pass(8);
  assert.equal(session.state.kind, "live");
  assert.notEqual(stage.etcd.get(stage.keys.session(session.id)), before);
});

Deno.test("the first host that notices a restored etcd closes the cluster for all, also right after its start", () => {
  const stage = new Stage();
  const a = stage.session("a");
  stage.pass(2);
  const backup = stage.etcd.save();
  const b = stage.session("b");
  stage.pass(4);
  assert.deepEqual([a.state.kind, b.state.kind], ["live", "live"]);
  b.close();
  stage.etcd.restore(backup, false);
  // Its revision is beyond what any host has seen, so it tells nothing.
  for (let write = 0; write < 50; write++) stage.etcd.put("/other", String(write));
  stage.pass(4);
  assert.equal(stage.phase, "open");
  const again = stage.session("b2", "b", stage.kept.get("b"));
  stage.pass(8);
  assert.deepEqual([stage.phase, a.state.kind, again.state.kind], ["recovering", "closed", "closed"]);
  const meta = decodeMeta({ key: "", value: stage.etcd.get(stage.keys.meta) ?? "", changedAt: 0 });
  stage.etcd.put(stage.keys.meta, encodeMeta({ ...meta, expect: ["a", "b"] }));
  stage.pass(15);
  assert.deepEqual([stage.phase, a.state.kind, again.state.kind], ["open", "live", "live"]);
});

Deno.test("directories of a cluster are changed when each host has come with them, and one that has not objects to being fenced", () => {
  const stage = new Stage();
  const spaces = ["leases", "scsi"];
  const changed = { ...META, spaces, phase: "forming", round: "r2", why: "so ann" } as const;
  const [a, b] = [stage.session("a"), stage.session("b")];
  stage.pass(5);
  // One comes with other directories than the others: it is not admitted, and these go on.
  a.close();
  const next = stage.session("a2", "a", stage.kept.get("a"), spaces);
  stage.pass(5);
  assert.deepEqual([next.state.kind, b.state.kind], ["joining", "live"]);
  stage.etcd.put(stage.keys.meta, encodeMeta({ ...changed, expect: ["a", "b"] }));
  stage.pass(15);
  assert.deepEqual([next.state.kind, b.state.kind, stage.phase], ["closed", "unsure", "forming"]);
  assert.match(
    b.state.kind === "unsure" ? b.state.reason : "",
    /^the other hosts lock leases, scsi for .* this one scsi: /,
  );
  const key = stage.keys.session(b.id);
  const said = () => decodeSession({ key, value: stage.etcd.get(key) ?? "", changedAt: 0 });
  const fencing = { state: "condemned", by: "ann", from: "desk", at: 0 } as const;
  stage.etcd.put(key, encodeRecord({ ...said(), fencing }));
  stage.pass(3);
  assert.equal(said().fencing, undefined);
  b.close();
  const other = stage.session("b2", "b", stage.kept.get("b"), spaces);
  stage.pass(10);
  assert.deepEqual([next.state.kind, other.state.kind, stage.phase], ["live", "live", "open"]);
  assert.deepEqual([next.id, other.id], [a.id, b.id]);
});

Deno.test("a session that was ended is left by its daemon, and the next one begins another one", () => {
  const stage = new Stage();
  const session = stage.session("a");
  stage.pass(2);
  const key = stage.keys.session(session.id);
  const record: object = JSON.parse(stage.etcd.get(key) ?? "{}");
  stage.etcd.put(key, JSON.stringify({ ...record, left: true }));
  stage.pass(8);
  assert.deepEqual(session.state, {
    kind: "lost",
    reason: LEFT,
    givenUp: { doubt: LEFT_BEHIND, at: stage.etcd.revision },
  });
  assert.deepEqual(stage.told, ["a joined", `a gave up: ${LEFT_BEHIND}`, "a left", `a lost: ${LEFT}`]);
  session.close();
  stage.pass(15);
  const next = stage.session("next", "a", stage.kept.get("a"));
  stage.pass(15);
  assert.equal(next.state.kind, "live");
  assert.notEqual(next.id, session.id);
});

Deno.test("a host that was said to be off, and lives, has given up what it has, and so has its next daemon", () => {
  const stage = new Stage();
  const session = stage.session("a");
  stage.pass(5);
  stage.etcd.put(stage.keys.meta, encodeMeta({ ...META, round: "r2", without: ["a"] }));
  const givenUp = { doubt: LEFT_OUT, at: stage.etcd.revision };
  stage.pass(5);
  const lost = () => stage.told.filter((text) => /^a (gave up|lost): /.test(text)).length;
  assert.ok(session.state.kind === "lost");
  assert.deepEqual([session.state.givenUp, lost()], [givenUp, 2]);
  session.close();
  const next = stage.session("a", "a", stage.kept.get("a"));
  stage.pass(5);
  assert.ok(next.state.kind === "lost");
  assert.deepEqual([next.state.givenUp, lost()], [givenUp, 4]);
});

Deno.test("a host says why it cannot find out whether its cluster may be opened", () => {
  const stage = new Stage();
  stage.etcd.put(stage.keys.meta, encodeMeta({ ...META, phase: "forming", expect: ["a", "b"] }));
  const session = stage.session("a");
  stage.pass(2);
  assert.equal(session.state.kind, "closed");
  stage.etcd.put(stage.keys.entry("b"), "{");
  stage.pass(4);
  assert.match(stage.troubles.at(-1) ?? "", /^it cannot be opened: \/virtlockd\/test\/entry\/b /);
});

Deno.test("a daemon that is stopped in order says so in its session, and the next one takes that back", () => {
  const stage = new Stage();
  const first = stage.session("first", "h1");
  stage.pass(2);
  const record = (): unknown => JSON.parse(stage.etcd.get(stage.keys.session(first.id)) ?? "");
  let told = 0;
  first.retire(() => told++);
  // Nothing that was under way before writes the session anew.
  stage.pass(10);
  assert.equal(told, 1);
  assert.deepEqual(record(), { host: "h1", name: "h1", boot: "b1", nonce: "n3", quiet: true });
  const next = stage.session("next", "h1", stage.kept.get("first"));
  stage.pass(2);
  assert.equal(next.id, first.id);
  assert.equal(next.state.kind, "live");
  assert.deepEqual(record(), { host: "h1", name: "h1", boot: "b1", nonce: "n4" });
});

Deno.test("a daemon that is stopped while it is no member, or etcd is away, does not wait for long", () => {
  const stage = new Stage();
  stage.cut.add("first");
  const first = stage.session("first", "h1");
  let told = 0;
  first.retire(() => told++);
  assert.equal(told, 1);
});

const BOTH: readonly Conflict[] = [{
  resource: resource({ id: 1, holdings: [holding(42)] }),
  session: "theirs",
}];

Deno.test("what others have when a host joins is nobody's loss, and what they have when it comes back is", () => {
  const stage = new Stage();
  stage.conflicts = BOTH;
  const first = stage.session("a");
  stage.pass(2);
  // It is not kept before what was in doubt is recorded.
  assert.equal(stage.kept.get("a")?.seen?.settled, undefined);
  stage.pass(5);
  assert.equal(stage.kept.get("a")?.seen?.settled, true);
  first.close();
  const next = stage.session("a", "a", stage.kept.get("a"));
  stage.pass(10);
  next.close();
  // The one after it has not come so far as to keep it itself.
  const last = stage.session("a", "a", stage.kept.get("a"));
  stage.pass(2);
  last.close();
  const meanwhile =
    "a doubtful: another host of the cluster holds it, which this one has lost while its daemon " +
    "did not run";
  assert.deepEqual(stage.told, [
    "a joined",
    "a doubtful: another host of the cluster holds it",
    "a joined",
    meanwhile,
    "a joined",
    meanwhile,
  ]);
});

Deno.test("a daemon that was killed right behind its first join leaves one that joins as if for the first time", () => {
  const stage = new Stage();
  const first = stage.session("a");
  while (first.state.kind !== "live") stage.time.advance();
  assert.equal(stage.kept.get("a")?.seen?.first, true);
  first.close();
  const next = stage.session("a", "a", stage.kept.get("a"));
  stage.pass(10);
  assert.deepEqual(stage.pasts, ["first", "first"]);
  assert.deepEqual([stage.kept.get("a")?.seen?.first, stage.kept.get("a")?.seen?.settled], [undefined, true]);
  next.close();
  stage.session("a", "a", stage.kept.get("a"));
  stage.pass(10);
  assert.deepEqual(stage.pasts, ["first", "first", "known"]);
});

Deno.test("what a host has is put in once more when more of it is known", () => {
  const stage = new Stage();
  const session = stage.session("a");
  stage.pass(10);
  session.putInAgain("it is known by now which device it is");
  assert.deepEqual(session.state, { kind: "unsure", reason: "it is known by now which device it is" });
  stage.pass(2);
  assert.deepEqual([session.state.kind, stage.pasts], ["live", ["first", "known"]]);
});

Deno.test("a daemon that ends before its host has joined leaves one that joins as if for the first time", () => {
  const stage = new Stage();
  stage.full = true;
  const first = stage.session("a");
  stage.pass(3);
  assert.deepEqual([first.state.kind, stage.pasts, stage.kept.get("a")?.seen], ["joining", [], undefined]);
  first.close();
  stage.full = false;
  stage.joinMs = 60_000;
  const next = stage.session("a", "a", stage.kept.get("a"));
  // Whoever asks waits for it as for the first one.
  assert.equal(next.joining, 60_000);
  stage.pass(10);
  assert.deepEqual([stage.pasts, stage.kept.get("a")?.seen?.settled], [["first"], true]);
  assert.deepEqual([next.joining, stage.session("a", "a", stage.kept.get("a")).joining], [0, 0]);
});

Deno.test("a link that ends again and again is looked for once in a second, and not more often each time", () => {
  const stage = new Stage();
  const { link } = stage;
  stage.full = true;
  link.state = "is not there";
  const session = stage.session("a");
  for (let time = 0; time < 20; time++) {
    link.state = "works";
    session.reachable();
    for (let turn = 0; turn < 3; turn++) stage.time.advance();
    link.state = "is not there";
    stage.pass(1);
  }
  link.looks = 0;
  stage.pass(4);
  assert.equal(link.looks, 4);
});

Deno.test("in an etcd that was restored nobody can tell which of two hosts has lost what both have", () => {
  const stage = new Stage();
  const host = stage.session("a");
  stage.pass(10);
  host.close();
  stage.conflicts = BOTH;
  stage.etcd.put(stage.keys.meta, encodeMeta({ ...META, round: "r2" }));
  stage.session("a", "a", stage.kept.get("a"));
  stage.pass(2);
  assert.deepEqual(stage.told.slice(1), ["a joined", "a doubtful: another host of the cluster holds it"]);
});

/** Somebody says of a session that its host cannot write any more. */
function fence({ keys, etcd }: Stage, session: string): void {
  const key = keys.session(session);
  const record = decodeSession({ key, value: etcd.get(key) ?? "", changedAt: 0 });
  const fencing = { state: "fenced", by: "ann", from: "desk", at: 0 } as const;
  etcd.put(key, encodeRecord({ ...record, fencing }));
}

Deno.test("what others have when a host was fenced it has lost then, which the next daemon knows too", () => {
  const stage = new Stage();
  const host = stage.session("a");
  stage.pass(10);
  stage.conflicts = BOTH;
  fence(stage, host.id);
  const before = stage.told.length;
  while (stage.told.length < before + 2) stage.pass(1);
  const lost = "a doubtful: another host of the cluster holds it, which this one has lost when it was fenced";
  assert.deepEqual(stage.told.slice(1), ["a joined", `${lost} by ann`]);
  assert.deepEqual([host.id, stage.kept.get("a")?.seen?.settled], ["n1.2", undefined]);
  host.close();
  const next = stage.session("a", "a", stage.kept.get("a"));
  stage.pass(2);
  assert.deepEqual(stage.told.slice(3), ["a joined", `${lost} by ann`]);
  // What comes of a restored etcd later has nothing to do with that.
  stage.pass(10);
  stage.etcd.put(stage.keys.meta, encodeMeta({ ...META, round: "r2" }));
  stage.pass(5);
  assert.deepEqual(stage.told.slice(5), ["a doubtful: another host of the cluster holds it"]);
  next.close();
});

Deno.test("a host that was fenced may have lost all that it has until it knows what others have, and is a member with what it knows", () => {
  const stage = new Stage();
  stage.held = 3;
  stage.conflicts = BOTH;
  const host = stage.session("a");
  const lost = () => {
    const key = stage.keys.session(host.id);
    return decodeSession({ key, value: stage.etcd.get(key) ?? "", changedAt: 0 }).lost;
  };
  const lostWhenLive = () => {
    while (host.state.kind !== "live") stage.time.advance();
    return lost();
  };
  assert.equal(lostWhenLive(), 1);
  stage.pass(10);
  fence(stage, host.id);
  stage.unread = "a key of this host's cannot be read";
  stage.pass(10);
  assert.deepEqual([host.id, lost()], ["n1.2", 3]);
  // In a cluster that waits for others that is known still later.
  stage.etcd.put(stage.keys.meta, encodeMeta({ ...META, phase: "forming", round: "r2" }));
  stage.givesBack = true;
  stage.unread = undefined;
  stage.pass(10);
  assert.deepEqual([host.state.kind, lost()], ["closed", 3]);
  stage.etcd.put(stage.keys.meta, encodeMeta({ ...META, round: "r3" }));
  assert.equal(lostWhenLive(), 1);
});

Deno.test("a host that was fenced withholds what paused guests had until it knows what others have, also its next daemon", () => {
  const stage = new Stage();
  const host = stage.session("a");
  stage.pass(10);
  fence(stage, host.id);
  stage.unread = "a key of this host's cannot be read";
  stage.pass(10);
  const { seen } = stage.kept.get("a") ?? {};
  assert.deepEqual([host.id, seen?.fenced], ["n1.2", "ann"]);
  assert.equal(
    host.withheld,
    "this host was fenced by ann, and it is not known yet what other hosts have taken",
  );
  host.close();
  stage.cut.add("a");
  const next = stage.session("a", "a", stage.kept.get("a"));
  stage.pass(10);
  assert.equal(
    next.withheld,
    "this host was fenced by ann, and it is not known yet what other hosts have taken",
  );
  stage.cut.delete("a");
  stage.unread = undefined;
  stage.pass(10);
  assert.deepEqual([next.state.kind, next.withheld], ["live", undefined]);
});
