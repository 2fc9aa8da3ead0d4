import assert from "node:assert/strict";
import type { ClientEntry, LockEntry, StatusDocument } from "../../../../src/lockd/status/status_document.ts";
import { type StatusParts, statusProgram } from "../../../../src/lockd/status/status_program.ts";
import {
  decodePage,
  encodePageArgs,
  type Page,
  type PageArgs,
} from "../../../../src/lockd/wire/status_protocol.ts";
import { resource, tableOf } from "../programs/lock_fixture.ts";
import { type Answer, call, connected, peer, result } from "../programs/program_fixture.ts";

const STATUS: StatusDocument = {
  version: "1.2.3",
  pid: 7,
  started: 1000,
  uptime: 60,
  reExecs: 0,
  servers: [],
  locks: { exclusive: 0, shared: 0, lockspaces: 1, holders: 0, dying: 0, settling: 0, doubtful: 0, posix: 0 },
  descriptors: { open: 20, limit: 1024 },
  idleTimeout: 0,
  logging: { level: 3, filters: "", outputs: "3:stderr" },
  sections: { storage: {} },
};

function ask(parts: Partial<StatusParts>, procedure: number, args: Partial<PageArgs> = {}): Answer {
  const program = statusProgram({
    table: tableOf([]),
    manualRelease: { release: (_wish, done) => done({ kind: "not-locked" }) },
    reaper: { judge: ({ pid }) => ({ kind: "alive", pid }) },
    stopped: () => false,
    cluster: undefined,
    servers: () => [],
    status: () => STATUS,
    metrics: () => 'metric{a="b"} 1\n',
    ...parts,
  });
  return call(
    connected(program),
    procedure,
    (w) => encodePageArgs(w, { flags: 0, cursor: "", limit: 0, ...args }),
  );
}

function page(answer: Answer): Page {
  return result(answer, decodePage);
}

/** Every page of a list, and how many entries each has. */
function all<T>(
  parts: () => Partial<StatusParts>,
  procedure: number,
  limit: number,
): { entries: T[]; sizes: number[] } {
  const entries: T[] = [];
  const sizes: number[] = [];
  let cursor = "";
  do {
    const { json, next } = page(ask(parts(), procedure, { cursor, limit }));
    const part: T[] = JSON.parse(json);
    entries.push(...part);
    sizes.push(part.length);
    cursor = next;
  } while (cursor !== "");
  return { entries, sizes };
}

Deno.test("GET_STATUS gives the status, GET_METRICS the text as a JSON string", () => {
  assert.deepEqual(page(ask({}, 1)), { json: JSON.stringify(STATUS), next: "" });
  assert.deepEqual(page(ask({}, 4)), { json: '"metric{a=\\"b\\"} 1\\n"', next: "" });
});

Deno.test("statusProgram() has no other procedure and takes no flags", () => {
  assert.deepEqual(ask({}, 6), { kind: "unknown procedure" });
  assert.deepEqual(ask({}, 2, { flags: 1 }), {
    kind: "failed",
    code: 8,
    domain: 62,
    message: "unsupported flags (0x1) in function ListLocks",
    str1: "ListLocks",
    int1: 0,
  });
});

Deno.test("LIST_LOCKS gives every lock once, by id, over lockspaces and pages", () => {
  const resources = [5, 1, 4, 2, 3].map((id) => resource({ id, lockspace: id % 2 === 0 ? "" : "/ls" }));
  const { entries, sizes } = all<LockEntry>(() => ({ table: tableOf(resources) }), 2, 2);
  assert.deepEqual(entries.map(({ id }) => id), [1, 2, 3, 4, 5]);
  assert.deepEqual(sizes, [2, 2, 1]);
});

Deno.test("LIST_LOCKS lists what is held all the time exactly once, while other locks come and go", () => {
  let resources = Array.from({ length: 20 }, (_, index) => resource({ id: index + 1 }));
  let next = 21;
  const { entries } = all<LockEntry>(
    () => {
      // Before each page the odd ones of the lowest are released and a new one is taken.
      resources = [...resources.filter(({ id }) => id % 2 === 0 || id > next - 18), resource({ id: next++ })];
      return { table: tableOf(resources) };
    },
    2,
    3,
  );
  const ids = entries.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
  assert.deepEqual(ids.filter((id) => id % 2 === 0 && id <= 20), [2, 4, 6, 8, 10, 12, 14, 16, 18, 20]);
});

Deno.test("LIST_LOCKS gives at most 500 locks on a page, whatever is asked for", () => {
  const resources = Array.from({ length: 1001 }, (_, index) => resource({ id: index + 1 }));
  for (const limit of [0, 100000]) {
    const { sizes } = all<LockEntry>(() => ({ table: tableOf(resources) }), 2, limit);
    assert.deepEqual(sizes, [500, 500, 1]);
  }
});

Deno.test("LIST_LOCKS ends a page early when names are long", () => {
  const resources = Array.from(
    { length: 10 },
    (_, index) => resource({ id: index + 1, name: "x".repeat(60_000 + index) }),
  );
  const { sizes } = all<LockEntry>(() => ({ table: tableOf(resources) }), 2, 0);
  assert.deepEqual(sizes, [3, 3, 3, 1]);
});

Deno.test("LIST_CLIENTS gives every client of every server once", () => {
  const server = (name: string, ids: number[]) => ({
    name,
    clients: new Map(ids.map((id) => [id, { peer: peer({ clientId: id }), session: () => undefined }])),
  });
  const servers = [server("virtlockd", [1, 2, 4]), server("empty", []), server("admin", [3])];
  const expected = ["virtlockd 1", "virtlockd 2", "virtlockd 4", "admin 3"];
  for (const [limit, wanted] of [[0, [4]], [1, [1, 1, 1, 1]], [2, [2, 2]], [3, [3, 1]], [4, [4]]] as const) {
    const { entries, sizes } = all<ClientEntry>(() => ({ servers: () => servers }), 3, limit);
    assert.deepEqual(entries.map(({ server, id }) => `${server} ${id}`), expected);
    assert.deepEqual(sizes, wanted);
  }
});

Deno.test("a cursor that is none is refused", () => {
  for (const cursor of ["x", "-1", "1.5", "1e3", " 1", "99999999999999999999"]) {
    for (const procedure of [2, 3]) {
      const answer = ask({}, procedure, { cursor });
      assert.deepEqual(answer.kind === "failed" && [answer.code, answer.message], [
        8,
        `invalid argument: Cursor '${cursor}' is none that this program gave`,
      ]);
    }
  }
  assert.deepEqual(page(ask({}, 3, { cursor: "7:1" })), { json: "[]", next: "" });
});
