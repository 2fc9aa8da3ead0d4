import assert from "node:assert/strict";
import type { Answer } from "../../../../../src/etcd/wire/link_messages.ts";
import type { Transaction } from "../../../../../src/etcd/wire/transaction.ts";
import { ClusterKeys } from "../../../../../src/lockd/cluster/keys/keys.ts";
import type { LockHolder } from "../../../../../src/lockd/cluster/keys/lock_holder.ts";
import { type ClusterPhase, encodeMeta } from "../../../../../src/lockd/cluster/keys/meta_record.ts";
import { ClusterNames } from "../../../../../src/lockd/cluster/keys/names.ts";
import { encodeRecord } from "../../../../../src/lockd/cluster/keys/records.ts";
import { GivenUpLocks } from "../../../../../src/lockd/cluster/reconcile/given_up_locks.ts";
import {
  HELD_BY_ANOTHER,
  LEFT_BEHIND,
  lostWhenFenced,
} from "../../../../../src/lockd/cluster/session/doubts.ts";
import type { SessionState } from "../../../../../src/lockd/cluster/session/session_parts.ts";
import type { Resource } from "../../../../../src/lockd/lockspace/resource.ts";
import { PlayedEtcd } from "../../../../cluster_model/played_etcd.ts";
import { PlayedTime } from "../../../../support/played_time.ts";
import { resource } from "../../programs/lock_fixture.ts";

const KEYS = new ClusterKeys("test");
const LOST =
  "another host of the cluster holds it, which this one has lost when it was made to leave, or said " +
  "to be off";
const THEIRS: LockHolder = {
  session: "theirs",
  attempt: "t",
  domain: "other",
  uuid: "v",
  pid: 70,
  start: 9,
  since: 5,
};

/** A host that has given up what it has, and an etcd in which others lock. */
class Stage {
  readonly etcd = new PlayedEtcd("none");
  readonly time = new PlayedTime();
  readonly told: string[] = [];
  readonly resources: Resource[] = [];
  state: SessionState;
  questions = 0;

  constructor() {
    this.agree("open");
    this.etcd.put("the word", "");
    this.state = {
      kind: "lost",
      reason: "it has left",
      givenUp: { doubt: LEFT_BEHIND, at: this.etcd.revision },
    };
    const state = () => this.state;
    new GivenUpLocks({
      session: {
        id: "mine",
        get state() {
          return state();
        },
        ask: (transaction: Transaction, done: (answer: Answer) => void) => {
          this.questions++;
          done(this.etcd.apply({ kind: "transaction", transaction }, 0));
        },
      },
      keys: KEYS,
      names: new ClusterNames([{ name: "scsi", directory: "/scsi" }], (path) => path),
      resources: () => this.resources,
      guests: { taken: ({ name }) => void this.told.push(`taken ${name}`) },
      loop: this.time.loop(),
      observer: { clusterDoubtful: ({ name }, reason) => void this.told.push(`${name}: ${reason}`) },
    }).begin();
  }

  /** What all hosts agree upon is written. */
  agree(phase: ClusterPhase): void {
    const meta = { spaces: ["scsi"], phase, round: "r", expect: [], without: [], why: "" };
    this.etcd.put(KEYS.meta, encodeMeta(meta));
  }

  /** A guest that runs with a lock which its host has given up. */
  has(name: string, parts: Partial<Resource> = {}, reason = LEFT_BEHIND): Resource {
    const state = { kind: "doubtful", reason } as const;
    const has = resource({ id: this.resources.length + 1, lockspace: "/scsi", name, state, ...parts });
    this.resources.push(has);
    return has;
  }

  /** A session locks a disk. */
  lock(name: string, session = "theirs", shared = false): void {
    const key = KEYS.lock({ space: "scsi", name }, shared, session);
    this.etcd.put(key, encodeRecord({ ...THEIRS, session }));
  }

  /** What one look tells. */
  look(): string[] {
    this.told.length = 0;
    this.time.advance();
    return [...this.told];
  }
}

Deno.test("a lock that was given up is lost as soon as another host has got it, and its guest is dealt with each time", () => {
  const stage = new Stage();
  const disk = stage.has("disk");
  stage.has("free");
  assert.deepEqual(stage.look(), []);
  stage.lock("disk");
  assert.deepEqual(stage.look(), [`disk: ${LOST}`]);
  // Somebody may have let the guest go on.
  assert.deepEqual(stage.look(), ["taken disk"]);
  stage.resources.splice(stage.resources.indexOf(disk), 1);
  assert.deepEqual(stage.look(), []);
});

Deno.test("a share is lost to who has the disk alone, and a lock to any sharer", () => {
  const stage = new Stage();
  stage.has("both", { shared: true });
  stage.has("alone");
  stage.lock("both", "theirs", true);
  stage.lock("alone", "theirs", true);
  assert.deepEqual(stage.look(), [`alone: ${LOST}`]);
  stage.lock("both");
  assert.deepEqual(stage.look(), [`both: ${LOST}`, "taken alone"]);
});

Deno.test("nothing is lost that another host had before the word, or that is this host's own in etcd", () => {
  const stage = new Stage();
  stage.has("disk");
  stage.lock("disk", "mine");
  assert.deepEqual(stage.look(), []);
  stage.lock("disk", "mine.2");
  assert.deepEqual(stage.look(), []);
  const early = new Stage();
  early.has("disk");
  early.lock("disk");
  early.state = {
    kind: "lost",
    reason: "it has left",
    givenUp: { doubt: LEFT_BEHIND, at: early.etcd.revision },
  };
  assert.deepEqual(early.look(), []);
});

Deno.test("what a backup has is no loss: nothing counts before the cluster is open again", () => {
  const stage = new Stage();
  stage.has("disk");
  stage.lock("disk");
  stage.agree("recovering");
  assert.deepEqual(stage.look(), []);
  stage.lock("disk");
  assert.deepEqual(stage.look(), []);
  stage.agree("open");
  assert.deepEqual(stage.look(), []);
  stage.lock("disk");
  assert.deepEqual(stage.look(), [`disk: ${LOST}`]);
});

Deno.test("no guest is dealt with that is paused, or whose disk two hosts had before, or of whose lock nothing can be read", () => {
  const stage = new Stage();
  for (const regrant of ["parked", "leaving"] as const) stage.has(regrant, { regrant });
  stage.has("met", {}, HELD_BY_ANOTHER);
  stage.has("torn");
  stage.has("held", { state: { kind: "held" } });
  stage.has("elsewhere", { lockspace: "/local" });
  for (const name of ["parked", "leaving", "met", "held"]) stage.lock(name);
  stage.etcd.put(KEYS.exclusive({ space: "scsi", name: "torn" }), "{");
  assert.deepEqual(stage.look(), []);
  // It was lost before, to somebody else.
  stage.has("fenced", {}, lostWhenFenced("ann"));
  stage.lock("fenced");
  assert.deepEqual(stage.look(), [`fenced: ${LOST}`]);
});

Deno.test("a host that has given nothing up asks etcd nothing", () => {
  const stage = new Stage();
  assert.deepEqual([stage.look(), stage.questions], [[], 0]);
  stage.has("disk");
  stage.lock("disk");
  for (
    const state of [
      { kind: "lost", reason: "a copy of this host is running" },
      { kind: "joining" },
    ] as const
  ) {
    stage.state = state;
    assert.deepEqual([stage.look(), stage.questions], [[], 0]);
  }
});

Deno.test("each of many locks has its turn", () => {
  const stage = new Stage();
  for (let id = 1; id <= 120; id++) {
    stage.has(`disk${id}`);
    stage.lock(`disk${id}`);
  }
  const looked = () => {
    const told = stage.look();
    return [told.length, told[0]?.split(/[ :]/).find((part) => part.startsWith("disk"))];
  };
  assert.deepEqual(looked(), [50, "disk1"]);
  assert.deepEqual(looked(), [50, "disk51"]);
  assert.deepEqual(looked(), [20, "disk101"]);
  assert.deepEqual(looked(), [50, "disk1"]);
});
