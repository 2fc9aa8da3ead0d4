import assert from "node:assert/strict";
import { AskLimit } from "../../../../../src/lockd/cluster/locks/ask_limit.ts";
import { Asker } from "../../../../../src/lockd/cluster/locks/asker.ts";
import { PlayedTime } from "../../../../support/played_time.ts";

/** @param why why this host cannot ask etcd; undefined: it can */
function stage(why?: string) {
  const time = new PlayedTime();
  const told: unknown[] = [];
  const asker = new Asker<"held">({
    session: {
      whenLive: (_until, ready, failed) =>
        why === undefined ? ready({ sessionKey: "s", session: 1, metaKey: "m", meta: 1 }) : failed(why),
    },
    limit: new AskLimit({ loop: time.loop(), clock: () => time.now }, 1000),
    late: () => "etcd is slow",
    done: (outcome) => void told.push(time.now, outcome),
  });
  return { time, told, asker };
}

Deno.test("who asks is answered once, and not when it is too late", () => {
  const { time, told, asker } = stage();
  asker.answer("held");
  asker.answer("held");
  time.after(2000, () => {});
  time.advance();
  assert.deepEqual([told, asker.waits], [[0, "held"], false]);
});

Deno.test("who has no answer in time is told what keeps this host from asking, or that etcd is slow", () => {
  for (const [why, reason] of [["it is no member", "it is no member"], [undefined, "etcd is slow"]]) {
    const { time, told, asker } = stage(why);
    assert.equal(asker.waits, true);
    time.advance();
    asker.answer("held");
    assert.deepEqual(told, [1000, { kind: "failed", reason }]);
  }
});
