import assert from "node:assert/strict";
import { ClusterKeys } from "../../../../../src/lockd/cluster/keys/keys.ts";
import { encodeRecord } from "../../../../../src/lockd/cluster/keys/records.ts";
import { obstaclesOf } from "../../../../../src/lockd/cluster/keys/transactions.ts";
import { WrittenMarks } from "../../../../../src/lockd/cluster/reconcile/written_marks.ts";
import { PlayedEtcd } from "../../../../cluster_model/played_etcd.ts";

const KEYS = new ClusterKeys("test");
const NAME = { space: "scsi", name: "disk" };
const EPOCH = { sessionKey: KEYS.session("s"), session: 2, metaKey: KEYS.meta, meta: 3 };

function markOf(session: string, pid: number) {
  const guest = { session, attempt: "m", domain: "web", uuid: "u", pid, start: 4, since: 0 };
  const key = KEYS.paused(NAME, session, guest);
  return { key, own: KEYS.own(session, key), value: encodeRecord(guest) };
}

/** Marks a guest as one whose lock nobody has had. @param there keys that etcd has */
function marked(there: Readonly<Record<string, string>>) {
  const etcd = new PlayedEtcd("none");
  etcd.put(EPOCH.sessionKey, "session");
  etcd.put(EPOCH.metaKey, "meta");
  for (const [key, value] of Object.entries(there)) etcd.put(key, value);
  const mark = markOf("s", 7);
  const added: string[] = [];
  const written = new WrittenMarks({
    session: {
      ask: (transaction, done) => done(etcd.apply({ kind: "transaction", transaction }, 0)),
      moved: (epoch, [session]) => session?.found[0]?.changedAt !== epoch.session,
    },
    marks: { add: ({ key }) => void added.push(key) },
  });
  const outcomes: unknown[] = [];
  written.fresh(
    EPOCH,
    { mark, obstacles: obstaclesOf(KEYS, NAME, false) },
    (failure) => outcomes.push(failure),
  );
  const said = etcd.get(mark.key);
  return { outcomes, added, says: said === mark.value ? "nothing" : said, etcd };
}

const ALONE = { [markOf("other", 3).key]: markOf("other", 3).value };

Deno.test("a guest that is marked says nothing where nobody has its lock, whoever else is paused", () => {
  for (const there of [{}, ALONE]) {
    const { outcomes, added, says, etcd } = marked(there);
    assert.deepEqual([outcomes, added, says], [[undefined], [markOf("s", 7).key], "nothing"]);
    for (const [key, value] of Object.entries(there)) assert.equal(etcd.get(key), value);
  }
});

Deno.test("a guest that is marked says that its lock was used where somebody has it, or has marked it", () => {
  const USED = /"used":.*not known any more/;
  const many = Array.from({ length: 51 }, (_, index) => markOf("other", index + 10));
  for (
    const there of [
      { [KEYS.exclusive(NAME)]: "a lock", ...ALONE },
      { [KEYS.share(NAME, "other")]: "a share" },
      { [markOf("s", 7).key]: "another mark" },
      // More than can be read with one question.
      Object.fromEntries(many.map(({ key, value }) => [key, value])),
    ]
  ) {
    const { outcomes, says } = marked(there);
    assert.deepEqual(outcomes, [undefined]);
    assert.match(says ?? "", USED);
  }
});

Deno.test("a guest is not marked behind a change of its host's session", () => {
  const { outcomes, added, says } = marked({ [EPOCH.sessionKey]: "another", ...ALONE });
  assert.deepEqual([outcomes, added, says], [["the session or the cluster was changed"], [], undefined]);
});
