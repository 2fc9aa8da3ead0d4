import assert from "node:assert/strict";
import { ClusterKeys } from "../../../../../src/lockd/cluster/keys/keys.ts";
import { SessionSweep } from "../../../../../src/lockd/cluster/reboot/session_sweep.ts";
import { PlayedEtcd } from "../../../../cluster_model/played_etcd.ts";
import { PlayedTime } from "../../../../support/played_time.ts";

const KEYS = new ClusterKeys("test");

/** A session that was fenced, with so many locks and the mark of a paused guest. */
class Stage {
  readonly etcd = new PlayedEtcd("none");
  readonly time = new PlayedTime();
  readonly locks: readonly string[];
  /** How many questions etcd has had, and which of them it does not answer. */
  asked = 0;
  unanswered: number | undefined;
  readonly #fenced: number;

  constructor(locks: number) {
    this.locks = Array.from({ length: locks }, (_, index) => `disk${index}`)
      .map((name) => KEYS.exclusive({ space: "scsi", name }));
    const mark = KEYS.pausedOf(KEYS.exclusive({ space: "scsi", name: "paused" }), "old", {
      pid: 7,
      start: 70,
      uuid: "u",
    });
    this.etcd.put(KEYS.session("old"), "fenced");
    this.#fenced = this.etcd.revision;
    for (const key of [...this.locks, mark]) {
      for (const each of [key, KEYS.own("old", key)]) this.etcd.put(each, "ours");
    }
    this.etcd.put(KEYS.silence("old"), "since then");
  }

  sweep(): void {
    const sweep = new SessionSweep({
      session: {
        ask: (transaction, done) => {
          this.asked++;
          if (this.asked === this.unanswered) return done({ kind: "unknown", reason: "no answer" });
          done(this.etcd.apply({ kind: "transaction", transaction }, 0));
        },
      },
      keys: KEYS,
      loop: this.time.loop(),
    });
    sweep.sweep("old", this.#fenced);
  }
}

Deno.test("all goes that a fenced session has, fifty locks at once", () => {
  const stage = new Stage(120);
  stage.sweep();
  assert.deepEqual(stage.etcd.keys(""), [KEYS.session("old")]);
  // The list, three times locks, and what else there is.
  assert.equal(stage.asked, 5);
});

Deno.test("a lock that another host has by then stays that host's, and the others go", () => {
  const stage = new Stage(3);
  const [, taken = ""] = stage.locks;
  stage.etcd.put(taken, "theirs");
  stage.sweep();
  assert.deepEqual(stage.etcd.keys(""), [taken, KEYS.session("old")]);
  assert.equal(stage.etcd.get(taken), "theirs");
});

Deno.test("a session that is another one by then keeps all", () => {
  const stage = new Stage(2);
  stage.etcd.put(KEYS.session("old"), "written anew");
  const before = stage.etcd.keys("");
  stage.sweep();
  assert.deepEqual(stage.etcd.keys(""), before);
});

for (const unanswered of [1, 2, 3]) {
  Deno.test(`what etcd does not answer at question ${unanswered} is gone on with after five seconds`, () => {
    const stage = new Stage(2);
    stage.unanswered = unanswered;
    stage.sweep();
    assert.notDeepEqual(stage.etcd.keys(""), [KEYS.session("old")]);
    stage.time.advance();
    assert.equal(stage.time.now, 5000);
    assert.deepEqual(stage.etcd.keys(""), [KEYS.session("old")]);
  });
}
