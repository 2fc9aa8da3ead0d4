import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { missesJournal } from "../../../../src/lockd/crash/missed_journal.ts";
import { openJournal } from "../../../../src/lockd/crash/open_journal.ts";
import type { OpenedJournal } from "../../../../src/lockd/crash/opened_journal.ts";
import { readLog } from "../../../../src/lockd/journal/lock_format.ts";
import { SharedMemory } from "../../../../src/chassis/journal/journal_memory.ts";
import { slotName } from "../../../../src/lockd/journal/descriptor_names.ts";
import type { ReturnedDescriptor } from "../../../../src/lockd/journal/recovered.ts";
import type { Operation } from "../../../../src/lockd/journal/operations.ts";
import { F_WRLCK, O_RDWR } from "../../../../src/os/constants.ts";
import { EMFILE, ENOSPC } from "../../../../src/os/errno.ts";
import { SystemError } from "../../../../src/os/system_error.ts";
import { FailingCalls } from "../../../support/failing_calls.ts";
import { kernel } from "../../../support/kernel.ts";
import { grant, owner } from "../journal/journal_fixture.ts";
import { handedState, JournalStage, OTHER_BOOT } from "./journal_stage.ts";

const CARRIED: Operation = {
  op: "carried",
  state: { limits: [{ maxClients: 7, maxAnonymousClients: 7 }], settings: {}, statistics: { locks: 3 } },
};
/** The lock of the default owner, of pid 7 that began at 1007. */
const LOCK_1 = slotName({ kind: "lock", index: 1 });

/** A grant of a disk that is there. */
function grantOf(stage: JournalStage, id: number, slot?: number): Operation {
  const path = stage.scratch.write(`disk${id}`);
  const granted = grant(id, 7, { lockspace: "", name: path, path, autocreate: false });
  if (granted.op !== "grant") return granted;
  const { slot: _, ...rest } = granted;
  return slot === undefined ? rest : { ...rest, slot };
}

/** A journal that came back from the store. */
function journalOf(stage: JournalStage, ...operations: readonly Operation[]): ReturnedDescriptor {
  return { name: "journal", fd: stage.memory(operations) };
}

/** Ids of recovered locks with how they are. */
function locks({ recovered }: OpenedJournal): (readonly [number, string])[] | undefined {
  return recovered?.locks.map(({ record: { id, state } }) => [id, state.kind] as const);
}

/** What is not there when an opened journal says nothing of an earlier life. */
const NOTHING_SAID = {
  recovered: undefined,
  carried: { limits: [], settings: {}, statistics: null },
  slots: [],
  left: undefined,
  replaces: false,
};

function said({ recovered, carried, slots, left, replaces }: OpenedJournal) {
  return { recovered, carried, slots, left, replaces };
}

Deno.test("openJournal() makes an empty file where nothing was left", () => {
  using stage = new JournalStage();
  const opened = openJournal(stage.sources());
  assert.deepEqual(said(opened), NOTHING_SAID);
  assert.deepEqual([opened.file?.path, opened.memory.fd], [stage.scratch.file("journal"), opened.file?.fd]);
  assert.deepEqual(stage.log.lines, []);
});

Deno.test("openJournal() makes memory where there can be no file and the store keeps it", () => {
  using stage = new JournalStage();
  const opened = openJournal(stage.sources({ keeper: true, journalDir: "/dev/null/none" }));
  assert.deepEqual([said(opened), opened.file], [NOTHING_SAID, undefined]);
  assert.equal(stage.ledger.has(opened.memory.fd), true);
  assert.throws(
    () => openJournal(stage.sources({ journalDir: "/dev/null/none" })),
    (error) => error instanceof SystemError && error.call === "mkdir",
  );
});

Deno.test("openJournal() takes again what the journal in the file says, and what was carried", () => {
  using stage = new JournalStage();
  stage.processes.set(7, owner(7).start);
  stage.file([CARRIED, grantOf(stage, 3)]);
  const opened = openJournal(stage.sources());
  assert.deepEqual(locks(opened), [[3, "held"]]);
  assert.deepEqual(opened.carried.limits, [{ maxClients: 7, maxAnonymousClients: 7 }]);
  assert.deepEqual(opened.recovered?.watched.map(({ key, start }) => [key, start]), [[7, 1007]]);
  assert.deepEqual([opened.slots, stage.log.lines], [[], []]);
});

Deno.test("openJournal() carries a lineage on from a journal that says all, and from no other", () => {
  using stage = new JournalStage();
  const carried: Operation = {
    op: "carried",
    state: {
      limits: [],
      settings: {},
      statistics: null,
      lineage: "l1",
      tries: [{ value: "v", changed: [] }],
    },
  };
  const whole = openJournal(stage.sources({ keeper: true, returned: [journalOf(stage, carried)] }));
  assert.deepEqual([whole.carried.lineage, stage.log.lines], ["l1", []]);
  assert.deepEqual(whole.carried.tries, [{ value: "v", changed: [] }]);
  const behind = journalOf(stage, carried);
  const found = readLog(new SharedMemory(kernel, behind.fd));
  if (typeof found === "string") assert.fail(found);
  found.log.fallBehind();
  const damaged = openJournal(stage.sources({ keeper: true, returned: [behind] }));
  // A lock may have been granted since that the journal calls a try which nobody was.
  assert.deepEqual([damaged.carried.lineage, damaged.carried.tries], [undefined, undefined]);
  assert.match(stage.log.lines.join("\n"), /^error: The journal is damaged: /);
});

Deno.test("openJournal() knows owners whose process has ended, or is another one by now", () => {
  using stage = new JournalStage();
  stage.processes.set(7, 99);
  stage.file([grantOf(stage, 3)]);
  const opened = openJournal(stage.sources());
  assert.deepEqual([locks(opened), opened.recovered?.gone.map(({ key }) => key)], [[[3, "held"]], [7]]);
});

Deno.test("openJournal() takes nothing of a journal of an earlier boot, and says so", () => {
  using stage = new JournalStage();
  const path = stage.file([CARRIED, grantOf(stage, 3)], 1000, OTHER_BOOT);
  const opened = openJournal(stage.sources());
  assert.deepEqual(said(opened), NOTHING_SAID);
  assert.deepEqual(stage.log.lines, [
    `info: The journal ${path} is of an earlier boot of this host: it is void`,
  ]);
});

Deno.test("openJournal() begins anew where the file is no journal, and says so", () => {
  using stage = new JournalStage();
  stage.scratch.write("journal", "nonsense");
  assert.deepEqual(said(openJournal(stage.sources())), NOTHING_SAID);
  assert.match(
    stage.log.lines.join("\n"),
    /^error: The journal that an earlier daemon has left cannot be read: /,
  );
});

Deno.test("openJournal() matches what came back from the store with the journal that came along", () => {
  using stage = new JournalStage();
  stage.processes.set(7, owner(7).start);
  const operation = grantOf(stage, 3, 1);
  const disk = stage.sys.open(stage.scratch.file("disk3"), O_RDWR, 0);
  kernel.ofdLock(disk, F_WRLCK, 0, 1);
  const [journal, older] = [stage.memory([operation]), stage.memory([])];
  const opened = openJournal(stage.sources({
    keeper: true,
    returned: [
      { name: "journal", fd: journal },
      { name: LOCK_1, fd: disk },
      { name: "journal", fd: older },
    ],
  }));
  assert.deepEqual([locks(opened), opened.memory.fd, opened.file], [[[3, "held"]], journal, undefined]);
  assert.deepEqual(opened.slots, [{ kind: "lock", id: 3, index: 1 }]);
  assert.deepEqual([stage.ledger.has(journal), opened.left, stage.log.lines], [true, undefined, []]);
  assert.equal(stage.closed.includes(older), true);
});

Deno.test("openJournal() keeps a lock of the store on that no journal explains", () => {
  using stage = new JournalStage();
  const disk = stage.sys.open(stage.scratch.write("disk3"), O_RDWR, 0);
  kernel.ofdLock(disk, F_WRLCK, 0, 1);
  const opened = openJournal(stage.sources({ keeper: true, returned: [{ name: LOCK_1, fd: disk }] }));
  assert.deepEqual(locks(opened)?.map(([, kind]) => kind), ["doubtful"]);
  assert.equal(opened.file?.path, stage.scratch.file("journal"));
  assert.equal(opened.slots.length, 1);
});

Deno.test("openJournal() adds what a daemon without a store has left in the file beside it", () => {
  using stage = new JournalStage();
  stage.processes.set(7, owner(7).start);
  const journal = stage.memory([], 1000);
  stage.file([grantOf(stage, 3)], 2000);
  const opened = openJournal(stage.sources({ keeper: true, returned: [{ name: "journal", fd: journal }] }));
  assert.deepEqual(
    [opened.recovered?.locks.map(({ record: { path } }) => path), opened.left?.path],
    [[stage.scratch.file("disk3")], stage.scratch.file("journal")],
  );
});

Deno.test("openJournal() goes on with the journal's file that an earlier image has handed over", () => {
  using stage = new JournalStage();
  const fd = stage.sys.open(stage.file([grantOf(stage, 3, 1)]), O_RDWR, 0);
  const handed = handedState([{ purpose: "journal", fd }], { store: "queues" });
  const opened = openJournal(stage.sources({ keeper: true, handed }));
  assert.deepEqual(
    [said(opened), opened.memory.fd],
    [{ ...NOTHING_SAID, slots: [{ kind: "lock", id: 3, index: 1 }] }, fd],
  );
  // What is written goes on behind what is there.
  assert.equal(opened.log.length > 0, true);
});

Deno.test("openJournal() does not look for slots where the earlier image had no store", () => {
  using stage = new JournalStage();
  const fd = stage.sys.open(stage.file([grantOf(stage, 3, 1)]), O_RDWR, 0);
  const handed = handedState([{ purpose: "journal", fd }], { store: false });
  assert.deepEqual(said(openJournal(stage.sources({ handed }))), NOTHING_SAID);
});

Deno.test("openJournal() replaces memory that an earlier image has handed over by a file", () => {
  using stage = new JournalStage();
  const fd = stage.memory([grantOf(stage, 3, 1)]);
  const handed = handedState([{ purpose: "journal", fd }], { store: "queues" });
  const opened = openJournal(stage.sources({ keeper: true, handed }));
  assert.deepEqual(said(opened), {
    ...NOTHING_SAID,
    slots: [{ kind: "lock", id: 3, index: 1 }],
    replaces: true,
  });
  assert.equal(opened.file?.path, stage.scratch.file("journal"));
  assert.equal(stage.ledger.has(fd), false);
});

Deno.test("openJournal() believes no file when libvirt's daemon has handed over, which has no journal", () => {
  using stage = new JournalStage();
  stage.file([grantOf(stage, 3)]);
  const opened = openJournal(stage.sources({ handed: handedState([], null) }));
  assert.deepEqual([said(opened), stage.log.lines], [NOTHING_SAID, []]);
});

Deno.test("openJournal() takes the place of a beginning that was never finished, and says so", () => {
  for (const size of [1, 4096, 135168]) {
    using stage = new JournalStage();
    Deno.writeFileSync(stage.scratch.file("journal"), new Uint8Array(size));
    const opened = openJournal(stage.sources());
    assert.deepEqual([said(opened), opened.file?.path], [NOTHING_SAID, stage.scratch.file("journal")]);
    assert.deepEqual(stage.log.lines, [
      "info: The journal that an earlier daemon has left is the beginning of one that was never finished: nothing was recorded in it",
    ]);
  }
});

Deno.test("openJournal() has the store take the journal that takes the place of one that cannot be read", () => {
  using stage = new JournalStage();
  const [nonsense, named] = [stage.sys.memfd("journal"), stage.scratch.write("journal", "nonsense")];
  kernel.pwrite(nonsense, new TextEncoder().encode("nonsense"), 0);
  const memory = openJournal(stage.sources({ keeper: true, returned: [{ name: "journal", fd: nonsense }] }));
  assert.deepEqual([memory.replaces, memory.file, stage.closed.includes(nonsense)], [true, undefined, true]);
  const fd = stage.sys.open(named, O_RDWR, 0);
  const file = openJournal(stage.sources({ keeper: true, returned: [{ name: "journal", fd }] }));
  assert.deepEqual([file.replaces, file.file?.path], [true, named]);
  assert.equal(Deno.statSync(named).size > 0, true);
});

/** Calls with which a journal is opened. */
const CALLS = [
  "mkdir",
  "open",
  "ofdLock",
  "lstat",
  "fstat",
  "ftruncate",
  "pwrite",
  "map",
  "rename",
  "memfd",
] as const;

/** Opens a journal with each of its calls failing once, in turn. */
function withEachFault(
  prepare: (stage: JournalStage) => void,
  keeper: boolean,
  check: (stage: JournalStage, outcome: OpenedJournal | SystemError, what: string) => void,
): string[] {
  const failed = new Set<string>();
  for (const call of CALLS) {
    for (let nth = 1;; nth++) {
      using stage = new JournalStage();
      prepare(stage);
      const calls = new FailingCalls({ call, nth, errno: ENOSPC });
      const sources = stage.sources({ keeper, sys: calls.around(stage.sys) });
      let outcome: OpenedJournal | SystemError;
      try {
        outcome = openJournal(sources);
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        outcome = error;
      }
      if (!calls.fired) break;
      failed.add(call);
      check(stage, outcome, `${call} ${nth}`);
    }
  }
  return [...failed];
}

Deno.test("openJournal() leaves a whole journal or none where a call fails, and the next start begins", () => {
  for (const keeper of [false, true]) {
    const failed = withEachFault(() => {}, keeper, (stage, outcome, what) => {
      const there = existsSync(stage.scratch.file("journal"));
      if (outcome instanceof SystemError) {
        assert.equal(there, false, what);
        assert.equal(missesJournal(stage.sources(), outcome), false, what);
      } else assert.equal(there, outcome.file !== undefined, what);
    });
    assert.deepEqual(["mkdir", "pwrite", "rename"].filter((call) => !failed.includes(call)), []);
  }
});

Deno.test("openJournal() passes over no journal that says something, whatever call fails", () => {
  const prepare = (stage: JournalStage) => {
    stage.processes.set(7, owner(7).start);
    stage.file([grantOf(stage, 3)]);
  };
  for (const keeper of [false, true]) {
    const failed = withEachFault(prepare, keeper, (stage, outcome, what) => {
      if (outcome instanceof SystemError) {
        assert.equal(missesJournal(stage.sources({ keeper }), outcome), true, what);
      } else assert.equal(locks(outcome)?.length, 1, what);
      const left = readLog(
        new SharedMemory(kernel, stage.sys.open(stage.scratch.file("journal"), O_RDWR, 0)),
      );
      assert.deepEqual(typeof left === "string" ? left : [...left.state.locks.keys()], [3], what);
    });
    assert.deepEqual(["open", "ofdLock", "map"].filter((call) => !failed.includes(call)), []);
  }
});

Deno.test("openJournal() fails where there is no memory", () => {
  using stage = new JournalStage({ map: () => -EMFILE });
  assert.throws(
    () => openJournal(stage.sources()),
    (error) => error instanceof SystemError && error.call === "mmap" && error.errno === EMFILE,
  );
});
