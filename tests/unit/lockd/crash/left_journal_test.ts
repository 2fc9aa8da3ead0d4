import assert from "node:assert/strict";
import { JournalPlace } from "../../../../src/lockd/crash/journal_place.ts";
import { JournalReader } from "../../../../src/lockd/crash/journal_reader.ts";
import { withLeftJournal } from "../../../../src/lockd/crash/left_journal.ts";
import { openJournal } from "../../../../src/lockd/crash/open_journal.ts";
import type { OpenedJournal } from "../../../../src/lockd/crash/opened_journal.ts";
import type { Operation } from "../../../../src/lockd/journal/operations.ts";
import { grant, owner } from "../journal/journal_fixture.ts";
import { JournalStage, OTHER_BOOT } from "./journal_stage.ts";

/** A grant of a disk that is there, to the owner of a pid, as a daemon without a store records it. */
function grantOf(stage: JournalStage, id: number, pid = 7): Operation {
  const path = stage.scratch.write(`disk${id}`);
  const granted = grant(id, pid, { lockspace: "", name: path, path, autocreate: false });
  if (granted.op !== "grant") return granted;
  const { slot: _, ...rest } = granted;
  return rest;
}

/** A journal of the store that was in use at 1000, joined with the file that is there. */
function joined(stage: JournalStage, stored: readonly Operation[] | undefined): OpenedJournal {
  const returned = stored === undefined ? [] : [{ name: "journal", fd: stage.memory(stored, 1000) }];
  // Its own file is elsewhere, so that the one of the test is left to be joined.
  const first = openJournal(stage.sources({ keeper: true, returned, journalDir: stage.scratch.file("own") }));
  const file = new JournalPlace(stage.sources()).left();
  assert.ok(file !== undefined);
  return withLeftJournal({ ...stage.sources(), reader: new JournalReader(stage.sources()) }, first, file);
}

function disks(opened: OpenedJournal): string[] | undefined {
  return opened.recovered?.locks.map(({ record: { path } }) => path.slice(path.lastIndexOf("/") + 1));
}

Deno.test("withLeftJournal() adds what was recorded later than the journal of the store", () => {
  using stage = new JournalStage();
  stage.processes.set(7, owner(7).start).set(8, owner(8).start);
  stage.file([grantOf(stage, 1), grantOf(stage, 2, 8)], 2000);
  const opened = joined(stage, [grantOf(stage, 1)]);
  assert.deepEqual(disks(opened), ["disk1", "disk2"]);
  assert.equal(opened.left?.path, stage.scratch.file("journal"));
  assert.deepEqual(stage.log.lines, []);
});

Deno.test("withLeftJournal() leaves out locks of owners that do not run any more", () => {
  using stage = new JournalStage();
  stage.processes.set(7, owner(7).start).set(9, 1);
  stage.file([grantOf(stage, 1), grantOf(stage, 2, 8), grantOf(stage, 3, 9)], 2000);
  assert.deepEqual(disks(joined(stage, [])), ["disk1"]);
});

Deno.test("withLeftJournal() believes the file alone where the store said nothing", () => {
  using stage = new JournalStage();
  stage.processes.set(7, owner(7).start);
  const settings = { timeout: 30 };
  stage.file([{ op: "carried", state: { limits: [], settings, statistics: null } }, grantOf(stage, 1)], 1);
  const opened = joined(stage, undefined);
  assert.deepEqual([disks(opened), opened.carried.settings], [["disk1"], settings]);
});

Deno.test("withLeftJournal() believes no file that is older, or of another boot, and says so", () => {
  for (
    const [begun, boot, why] of [
      [1000, undefined, "is older than the one in the store"],
      [2000, OTHER_BOOT, "is of an earlier boot of this host"],
    ] as const
  ) {
    using stage = new JournalStage();
    stage.processes.set(7, owner(7).start);
    const path = stage.file([grantOf(stage, 2)], begun, boot);
    const opened = joined(stage, [grantOf(stage, 1)]);
    assert.deepEqual([disks(opened), opened.left?.path], [["disk1"], path]);
    assert.deepEqual(stage.log.lines, [`info: The journal ${path} ${why}: it is void`]);
  }
});

Deno.test("withLeftJournal() leaves a file that cannot be read to be discarded, and says so", () => {
  using stage = new JournalStage();
  stage.processes.set(7, owner(7).start);
  const path = stage.scratch.write("journal", "nonsense");
  const opened = joined(stage, [grantOf(stage, 1)]);
  assert.deepEqual([disks(opened), opened.left?.path], [["disk1"], path]);
  assert.equal(stage.log.lines.length, 1);
  assert.ok(
    stage.log.lines[0]?.startsWith(
      `error: The journal ${path} that an earlier daemon has left cannot be read: `,
    ),
  );
});

Deno.test("withLeftJournal() says nothing of a file in which nothing is", () => {
  using stage = new JournalStage();
  stage.processes.set(7, owner(7).start);
  stage.scratch.write("journal");
  assert.deepEqual([disks(joined(stage, [grantOf(stage, 1)])), stage.log.lines], [["disk1"], []]);
});

Deno.test("withLeftJournal() carries no lineage on where two daemons went on, neither of which knew all", () => {
  const carried = (lineage: string): Operation => {
    return { op: "carried", state: { limits: [], settings: {}, statistics: null, lineage } };
  };
  const stored = [carried("store's")];
  const lineageOf = (leave: (stage: JournalStage) => void) => {
    using stage = new JournalStage();
    leave(stage);
    return joined(stage, stored).carried.lineage;
  };
  assert.equal(lineageOf((stage) => stage.file([carried("file's")], 2000)), undefined);
  assert.equal(lineageOf((stage) => stage.scratch.write("journal", "nonsense")), undefined);
  // What that one knew is known.
  assert.equal(lineageOf((stage) => stage.file([carried("file's")], 999)), "store's");
  assert.equal(lineageOf((stage) => stage.file([carried("file's")], 2000, OTHER_BOOT)), "store's");
});
