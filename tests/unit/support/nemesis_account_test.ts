import assert from "node:assert/strict";
import { accountOf, NOTICED } from "../../nemesis/account.ts";

const HISTORY = [
  { at: 1000, kind: "granted", guest: "guest 1 on host0", disk: 1, mode: "alone" },
  { at: 1100, kind: "writes", guest: "guest 1 on host0", as: 1 },
  { at: 9000, kind: "fault over", name: "long before" },
  { at: 30_000, kind: "fault", name: "host0 is cut off", length: 5 },
  { at: 30_100, kind: "granted", guest: "guest 3 on host1", disk: 1, mode: "alone" },
  { at: 30_150, kind: "granted", guest: "guest 4 on host1", disk: 2, mode: "alone" },
  { at: 30_200, kind: "way back", guest: "guest 1 on host0" },
  { at: 30_300, kind: "writes", guest: "guest 1 on host0", as: 7 },
  { at: 30_400, kind: "kill", guest: "guest 3 on host1" },
  { at: 30_450, kind: "kill", guest: "guest 4 on host1" },
  { at: 30_500, kind: "unanswered", text: "etcd is away", guest: "guest 5 on host1", disk: 1 },
  { at: 30_600, kind: "granted", guest: "guest 6 on host2", disk: 1, mode: "alone" },
  { at: 30_700, kind: "writes", guest: "guest 6 on host2", as: 6 },
  { at: 30_800, kind: "violation", text: "disk 1: write 5 of guest 7 arrived behind one of guest 6" },
  { at: 30_900, kind: "kill", guest: "guest 6 on host2" },
];

function account(found: string, history: readonly object[] = HISTORY, log = ""): string {
  const text = history.map((line) => `${JSON.stringify(line)}\n`).join("");
  return accountOf({ history: text, found: [found, "more"], logs: new Map([["host0", log]]) }).join("\n");
}

Deno.test("an account of a late write tells the two guests' lives, then what else happened", () => {
  assert.equal(
    account(
      "disk 1: write 5 of guest 7 arrived behind one of guest 6",
      HISTORY,
      `before\n${NOTICED}\nbehind\n`,
    ),
    `Found: disk 1: write 5 of guest 7 arrived behind one of guest 6
== guest 1 on host0 and guest 6 on host2:
   1.000  granted: guest guest 1 on host0, disk 1, mode alone
   1.100  writes: guest guest 1 on host0, as 1
  30.200  way back: guest guest 1 on host0
  30.300  writes: guest guest 1 on host0, as 7
  30.600  granted: guest guest 6 on host2, disk 1, mode alone
  30.700  writes: guest guest 6 on host2, as 6
== Faults, and disk 1, in the 20 s before:
  30.000  fault: name host0 is cut off, length 5
  30.100  granted: guest guest 3 on host1, disk 1, mode alone
  30.400  kill: guest guest 3 on host1
  30.500  unanswered: guest guest 5 on host1, disk 1, text etcd is away
== The daemon of host0:
before`,
  );
});

Deno.test("an account of what was left has no guest to tell of, and the end of the whole log", () => {
  const told = account("etcd has /virtlockd/test/lock/scsi/disk2: {}", HISTORY.slice(0, 6), "one\ntwo\n");
  assert.equal(
    told,
    `Found: etcd has /virtlockd/test/lock/scsi/disk2: {}
== No guest is named:
== Faults, and disk 2, in the 20 s before:
  30.000  fault: name host0 is cut off, length 5
  30.150  granted: guest guest 4 on host1, disk 2, mode alone
== The daemon of host0:
one
two`,
  );
});

Deno.test("an account has no more than 200 lines, and none is long", () => {
  const events = Array.from({ length: 500 }, (_, at) => {
    return { at, kind: "unanswered", guest: "guest 1 on host0", disk: 1, text: "x".repeat(1000) };
  });
  const faults = Array.from({ length: 500 }, (_, at) => ({ at, kind: "fault", name: "y".repeat(1000) }));
  const lines = account(
    "disk 1: guest 1 on host0 was granted what guest 2 on host1 has",
    [...events, ...faults],
    "z\n".repeat(500),
  ).split("\n");
  assert.equal(lines.length, 40 + 60 + 25 + 4);
  assert.ok(lines.every(({ length }) => length <= 243));
});
