import assert from "node:assert/strict";
import type { Judgement } from "../../../../src/lockd/lockspace/holder_reaper.ts";
import type { Owner } from "../../../../src/lockd/lockspace/owner.ts";
import type { Refusal } from "../../../../src/lockd/lockspace/refusal.ts";
import type { Resource } from "../../../../src/lockd/lockspace/resource.ts";
import { releaseLock } from "../../../../src/lockd/status/release.ts";
import { decodePage, type ReleaseArgs } from "../../../../src/lockd/wire/status_protocol.ts";
import { RpcFailure } from "../../../../src/chassis/wire/rpc_error.ts";
import { XdrReader, XdrWriter } from "../../../../src/chassis/wire/xdr.ts";
import { holding, resource, tableOf, UUID } from "../programs/lock_fixture.ts";
import { peer } from "../programs/program_fixture.ts";

const FORCE = 1;
const OTHER = "11111111-2222-3333-4444-555555555555";

/** What came of an order. */
interface Outcome {
  /** The document, or why it was refused. */
  readonly answer: unknown;
  /** What was logged: resource, owner's pid, what was known of it. */
  readonly told: readonly string[];
}

/** Without what libvirt puts before each message of its kind. */
function shortened(message: string): string {
  return message.replace(/^(?:operation forbidden|invalid argument): /, "");
}

/** Has a lock of these released, by an owner of whom this is known. */
function order(
  resources: readonly Resource[],
  args: Partial<ReleaseArgs>,
  state: Judgement["kind"],
  failure?: Refusal,
): Outcome {
  const told: string[] = [];
  let answer: unknown = "nothing";
  const table = tableOf(resources);
  const parts = {
    table: failure === undefined ? table : {
      ...table,
      discharge: (_resource: Resource, _key: unknown, done: (r: Refusal) => void) => done(failure),
    },
    reaper: {
      judge: (owner: Owner): Judgement =>
        state === "alive" ? { kind: state, pid: owner.pid } : { kind: state },
    },
    observer: {
      discharged: ({ name }: Resource, { pid }: Owner, { kind }: Judgement) =>
        told.push(`${name} ${pid} ${kind}`),
    },
  };
  const reply = {
    ok: (encode?: (writer: XdrWriter) => void) => {
      const writer = new XdrWriter();
      encode?.(writer);
      answer = JSON.parse(decodePage(new XdrReader(writer.copy())).json);
    },
    fail: ({ message }: RpcFailure) => answer = shortened(message),
    okAndClose: () => assert.fail("closed"),
  };
  try {
    releaseLock(
      parts,
      { flags: 0, lockspace: "/ls", resource: "r1", uuid: "", guest: "", ...args },
      peer(),
      reply,
    );
  } catch (error) {
    if (!(error instanceof RpcFailure)) throw error;
    answer = shortened(error.message);
  }
  return { answer, told };
}

Deno.test("releaseLock() frees a lock whose owner cannot be judged", () => {
  const lock = resource({ id: 1 });
  assert.deepEqual(order([lock], {}, "unjudged"), {
    answer: {
      lockspace: "/ls",
      resource: "r1",
      path: "/ls/r1",
      owner: { domain: "guest", uuid: UUID, pid: 42 },
      ownerState: "unjudged",
      shared: false,
    },
    told: ["r1 42 unjudged"],
  });
  assert.deepEqual(lock.holdings, []);
});

Deno.test("releaseLock() refuses while the owner lives, and says who it is", () => {
  const lock = resource({ id: 1 });
  const { answer, told } = order([lock], {}, "alive");
  assert.equal(
    answer,
    `domain 'guest' (uuid ${UUID}, pid 42) holds /ls/r1 and lives: end the guest, and its lock goes by itself; ` +
      "--force --guest 'guest' frees it now",
  );
  assert.deepEqual(told, []);
  assert.equal(lock.holdings.length, 1);
});

Deno.test("releaseLock() waits for the last writes of an owner that has ended", () => {
  assert.equal(
    order([resource({ id: 1 })], {}, "dead").answer,
    `domain 'guest' (uuid ${UUID}, pid 42) has ended, and its lock on /ls/r1 goes as soon as its last writes are over; ` +
      "--force --guest 'guest' frees it now",
  );
});

Deno.test("releaseLock() obeys by force only when the guest that loses its lock is named", () => {
  for (const state of ["alive", "dead"] as const) {
    assert.equal(
      order([resource({ id: 1 })], { flags: FORCE, guest: "other" }, state).answer,
      `/ls/r1 is held by domain 'guest' (uuid ${UUID}, pid 42), not by the guest that --guest names, 'other'`,
    );
    assert.deepEqual(order([resource({ id: 1 })], { flags: FORCE, guest: "guest" }, state).told, [
      `r1 42 ${state}`,
    ]);
  }
});

Deno.test("releaseLock() takes one of those off who share a lock, chosen by uuid", () => {
  const shared = () => {
    const { owner, since } = holding(43, "second");
    const second = { owner: { ...owner, uuid: OTHER }, since };
    return resource({ id: 1, shared: true, holdings: [holding(42), second, holding(42)] });
  };
  assert.equal(
    order([shared()], {}, "unjudged").answer,
    "/ls/r1 is held by several, choose one by its uuid: " +
      `domain 'guest' (uuid ${UUID}, pid 42), domain 'second' (uuid ${OTHER}, pid 43)`,
  );
  const lock = shared();
  const uuid = UUID.toUpperCase().replaceAll("-", "");
  const { answer, told } = order([lock], { uuid }, "unjudged");
  assert.equal((answer as { shared: boolean }).shared, true);
  assert.deepEqual(told, ["r1 42 unjudged"]);
  assert.deepEqual(lock.holdings.map(({ owner }) => owner.pid), [43]);
  assert.equal(
    order([shared()], { uuid: "22222222-2222-3333-4444-555555555555" }, "unjudged").answer,
    "No guest with uuid 22222222-2222-3333-4444-555555555555 holds /ls/r1; it is held by " +
      `domain 'guest' (uuid ${UUID}, pid 42), domain 'second' (uuid ${OTHER}, pid 43)`,
  );
});

Deno.test("releaseLock() says what is wrong with an order", () => {
  const locks = () => [resource({ id: 1 })];
  assert.equal(order(locks(), { resource: "r2" }, "unjudged").answer, "There is no lock on r2 in /ls");
  assert.equal(
    order(locks(), { lockspace: "", resource: "/x" }, "unjudged").answer,
    "There is no lock on /x",
  );
  assert.equal(
    order(locks(), { flags: 2 }, "unjudged").answer,
    "unsupported flags (0x2) in function Release",
  );
  const failure = {
    kind: "storage",
    action: "Unable to unlock /ls/r1",
    reason: "it does not answer",
  } as const;
  assert.deepEqual(order(locks(), {}, "unjudged", failure), {
    answer: "Release /ls/r1: internal error: Unable to unlock /ls/r1: it does not answer",
    told: [],
  });
});
