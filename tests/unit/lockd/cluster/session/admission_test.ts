import assert from "node:assert/strict";
import type { MetaRecord } from "../../../../../src/lockd/cluster/keys/meta_record.ts";
import { Admission, type Admitted } from "../../../../../src/lockd/cluster/session/admission.ts";
import type { Conflict } from "../../../../../src/lockd/cluster/session/conflict.ts";
import type { Entered } from "../../../../../src/lockd/cluster/session/entrance.ts";
import { Losses } from "../../../../../src/lockd/cluster/session/losses.ts";
import { OwnSession } from "../../../../../src/lockd/cluster/session/own_session.ts";
import { resource } from "../../programs/lock_fixture.ts";

const EPOCH = { sessionKey: "s", session: 2, metaKey: "m", meta: 1 };
const OPEN: MetaRecord = { spaces: ["scsi"], phase: "open", round: "r1", expect: [], without: [], why: "" };
const FORMING: MetaRecord = { ...OPEN, phase: "forming", expect: ["kvm2"] };
const RESOURCE = resource({ id: 1, lockspace: "/scsi", name: "disk", holdings: [] });
const CONFLICT: Conflict = { resource: RESOURCE, session: "t" };
const HELD_BY_ANOTHER = "another host of the cluster holds it";

const FIRST = "puts in for the first time";

class Stage {
  readonly told: string[] = [];
  readonly own = new OwnSession({ session: "s" });
  losses = new Losses(undefined);
  outcome: string | readonly Conflict[] = [];
  entered: Entered = { kind: "opened" };
  givesBack = false;
  over = false;
  has = true;
  readonly admission = new Admission({
    parts: {
      reconcile: (_epoch, done, past) => {
        this.told.push(
          {
            known: "puts in",
            first: FIRST,
            missed: "puts in what is left",
            lost: "puts in again",
          }[past],
        );
        done(this.outcome);
      },
      givesBack: () => this.givesBack,
      has: () => this.has,
      observer: {
        clusterJoined: (session, cluster) => void this.told.push(`joined ${cluster} as ${session}`),
        clusterDoubtful: (_resource, reason) => void this.told.push(`doubtful: ${reason}`),
        clusterTroubled: () => assert.fail(),
        clusterLost: () => assert.fail(),
        clusterRecovered: () => assert.fail(),
        clusterCondemned: () => assert.fail(),
        clusterFenced: () => assert.fail(),
      },
    },
    own: this.own,
    losses: {
      reasonIn: (round) => this.losses.reasonIn(round),
      settled: (round) => this.losses.settled(round),
      pastIn: (round) => this.losses.pastIn(round),
    },
    entrance: {
      enter: (_epoch, _meta, _conflicts, done) => {
        this.told.push("enters");
        done(this.entered);
      },
    },
    cluster: () => "e",
    over: () => this.over,
  });

  admit(meta: MetaRecord): Admitted[] {
    const admitted: Admitted[] = [];
    this.admission.admit(EPOCH, meta, (each) => void admitted.push(each));
    return admitted;
  }
}

Deno.test("in an open cluster a host puts in what it has, once in each round", () => {
  const stage = new Stage();
  assert.equal(stage.admission.reconciled, false);
  assert.deepEqual(stage.admit(OPEN), [{ kind: "live" }]);
  assert.deepEqual(stage.admit(OPEN), [{ kind: "live" }]);
  assert.equal(stage.admission.reconciled, true);
  assert.deepEqual(stage.told, [FIRST, "joined e as s"]);
  assert.deepEqual(stage.admit({ ...OPEN, round: "r2" }), [{ kind: "live" }]);
  // It has joined once.
  assert.deepEqual(stage.told.slice(2), ["puts in what is left"]);
});

Deno.test("what could not be put in is tried again, and nothing is known of it by then", () => {
  const stage = new Stage();
  stage.outcome = "etcd is full";
  assert.deepEqual(stage.admit(OPEN), [{ kind: "again", reason: "etcd is full" }]);
  assert.equal(stage.admission.reconciled, false);
  stage.outcome = [];
  assert.deepEqual(stage.admit(OPEN), [{ kind: "live" }]);
});

Deno.test("locks that others have are in doubt, and count as long as guests have them", () => {
  const stage = new Stage();
  stage.outcome = [CONFLICT];
  stage.admit(OPEN);
  assert.deepEqual(stage.told.slice(2), [`doubtful: ${HELD_BY_ANOTHER}`]);
  assert.equal(stage.admission.lost, 1);
  stage.has = false;
  assert.equal(stage.admission.lost, 0);
  stage.has = true;
  stage.admission.regained(RESOURCE);
  assert.equal(stage.admission.lost, 0);
});

Deno.test("a host that was fenced puts all in anew, and says so with each lock that it has lost", () => {
  const stage = new Stage();
  stage.admit(OPEN);
  stage.losses.fenced("root");
  stage.admission.beginAnew();
  assert.equal(stage.admission.reconciled, false);
  stage.outcome = [CONFLICT];
  assert.deepEqual(stage.admit(OPEN), [{ kind: "live" }]);
  assert.deepEqual(stage.told.slice(-3), [
    "puts in what is left",
    "joined e as s",
    `doubtful: ${HELD_BY_ANOTHER}, which this one has lost when it was fenced by root`,
  ]);
});

Deno.test("what another host had already when an earlier daemon joined is not said to be lost", () => {
  const seen = { etcd: "e", session: 2, meta: 1, round: "r1", settled: true };
  const stage = new Stage();
  stage.losses = new Losses({ session: "s", seen });
  const known = { ...RESOURCE, state: { kind: "doubtful", reason: HELD_BY_ANOTHER } } as const;
  stage.outcome = [{ resource: known, session: "t" }, CONFLICT];
  stage.admit(OPEN);
  assert.deepEqual(stage.told.slice(2), [
    `doubtful: ${HELD_BY_ANOTHER}`,
    `doubtful: ${HELD_BY_ANOTHER}, which this one has lost while its daemon did not run`,
  ]);
});

Deno.test("of a lock that another host has when more is put in, as a device that was found late, nobody is said to have lost it", () => {
  const stage = new Stage();
  stage.admit(OPEN);
  stage.admission.putInAgain();
  stage.outcome = [CONFLICT];
  stage.told.splice(0);
  assert.deepEqual(stage.admit(OPEN), [{ kind: "live" }]);
  assert.deepEqual(stage.told, ["puts in", `doubtful: ${HELD_BY_ANOTHER}`]);
});

Deno.test("what another host has got of what this one has given up is said to be lost when it joins again", () => {
  const stage = new Stage();
  stage.outcome = [
    "this host has left the cluster, and has given it up",
    "etcd was recovered without this host, which was said to be off: its locks were given up",
  ].map((reason) => ({ resource: { ...RESOURCE, state: { kind: "doubtful", reason } }, session: "t" }));
  stage.admit(OPEN);
  const lost =
    `doubtful: ${HELD_BY_ANOTHER}, which this one has lost when it was made to leave, or said to be off`;
  assert.deepEqual(stage.told.slice(2), [lost, lost]);
});

Deno.test("a closed cluster is entered, and what a host has counts as put in when it has settled", () => {
  const opened = new Stage();
  assert.deepEqual(opened.admit(FORMING), [{ kind: "now" }]);
  assert.deepEqual(opened.told, [FIRST, "joined e as s", "enters"]);
  const settled = new Stage();
  settled.entered = { kind: "settled", reason: "waits for kvm2" };
  assert.deepEqual(settled.admit(FORMING), [settled.entered]);
  assert.equal(settled.admit(FORMING)[0]?.kind, "settled");
  assert.deepEqual(settled.told, [FIRST, "joined e as s", "enters"]);
  const listed = new Stage();
  listed.entered = { kind: "listed", reason: "others may give back" };
  assert.deepEqual(listed.admit(FORMING), [listed.entered]);
  listed.admit(FORMING);
  assert.deepEqual(listed.told, [FIRST, "joined e as s", "enters", FIRST, "enters"]);
  const failed = new Stage();
  failed.entered = { kind: "failed", reason: "no answer" };
  assert.deepEqual(failed.admit(FORMING), [{ kind: "again", reason: "no answer" }]);
});

Deno.test("a host does not enter while it gives something back that another one may have", () => {
  const stage = new Stage();
  stage.givesBack = true;
  assert.equal(stage.admit({ ...FORMING, phase: "recovering" })[0]?.kind, "listed");
  assert.deepEqual(stage.told, ["puts in again", "joined e as s"]);
});

Deno.test("nothing goes on for a session that is over", () => {
  const stage = new Stage();
  stage.over = true;
  assert.deepEqual(stage.admit(OPEN), []);
  assert.deepEqual(stage.told, [FIRST]);
});
