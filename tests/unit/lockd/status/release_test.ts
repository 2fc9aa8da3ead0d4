import assert from "node:assert/strict";
import { RpcFailure } from "../../../../src/chassis/wire/rpc_error.ts";
import { XdrReader } from "../../../../src/chassis/wire/xdr_reader.ts";
import { XdrWriter } from "../../../../src/chassis/wire/xdr_writer.ts";
import type { Judgement } from "../../../../src/lockd/lockspace/holder_reaper.ts";
import type {
  JudgedHolder,
  ReleaseOutcome,
  ReleaseWish,
} from "../../../../src/lockd/lockspace/manual_release.ts";
import { releaseLock } from "../../../../src/lockd/status/release.ts";
import { decodePage, type ReleaseArgs } from "../../../../src/lockd/wire/status_protocol.ts";
import { peer } from "../programs/program_fixture.ts";
import { holding, UUID } from "../programs/lock_fixture.ts";

const BY = { pid: 77, uid: 0 };
const FORCE = 1;
const OWNER = `domain 'guest' (uuid ${UUID}, pid 42)`;

function holder(judgement: Judgement, pid = 42): JudgedHolder {
  return { holding: holding(pid), judgement };
}

/** What was wished for, and what was answered: the document, or the message. */
function order(args: Partial<ReleaseArgs>, outcome: ReleaseOutcome): { wish?: ReleaseWish; answer: unknown } {
  let wish: ReleaseWish | undefined;
  let answer: unknown = "nothing";
  const manual = {
    release: (wished: ReleaseWish, done: (outcome: ReleaseOutcome) => void) => {
      wish = wished;
      done(outcome);
    },
  };
  const reply = {
    serial: 0,
    ok: (encode?: (writer: XdrWriter) => void) => {
      const writer = new XdrWriter();
      encode?.(writer);
      answer = JSON.parse(decodePage(new XdrReader(writer.copy())).json);
    },
    fail: ({ message }: RpcFailure) => answer = message,
    okAndClose: () => assert.fail("closed"),
  };
  try {
    releaseLock(manual, peer(BY), {
      flags: 0,
      lockspace: "/ls",
      resource: "r1",
      uuid: "",
      guest: "",
      ...args,
    }, reply);
  } catch (error) {
    if (!(error instanceof RpcFailure)) throw error;
    answer = error.message;
  }
  return wish === undefined ? { answer } : { wish, answer };
}

Deno.test("releaseLock() has a lock freed, and tells whose it was", () => {
  const outcome = { kind: "released", holder: holder({ kind: "unjudged" }), last: true } as const;
  assert.deepEqual(order({}, outcome), {
    wish: { lockspace: "/ls", resource: "r1", by: BY },
    answer: {
      lockspace: "/ls",
      resource: "r1",
      owner: { domain: "guest", uuid: UUID, pid: 42 },
      ownerProcess: "unjudged",
      stillShared: false,
    },
  });
});

Deno.test("releaseLock() passes the guest on only by force, and any spelling of a uuid", () => {
  const outcome = { kind: "not-locked" } as const;
  assert.deepEqual(order({ guest: "g" }, outcome).wish, { lockspace: "/ls", resource: "r1", by: BY });
  assert.deepEqual(
    order({ flags: FORCE, guest: "g", uuid: UUID.toUpperCase().replaceAll("-", "") }, outcome).wish,
    { lockspace: "/ls", resource: "r1", by: BY, livingGuest: "g", uuid: UUID },
  );
  assert.equal(order({ uuid: "no uuid" }, outcome).wish?.uuid, "no uuid");
  assert.deepEqual(order({ flags: 2 }, outcome), { answer: "unsupported flags (0x2) in function Release" });
});

Deno.test("releaseLock() says why a lock is not freed", () => {
  const said = (outcome: ReleaseOutcome, args: Partial<ReleaseArgs> = {}) => order(args, outcome).answer;
  const denied = "operation forbidden: ";
  assert.equal(said({ kind: "not-locked" }), "invalid argument: There is no lock on /ls/r1");
  assert.equal(
    said({ kind: "not-locked" }, { lockspace: "", resource: "/x" }),
    "invalid argument: There is no lock on /x",
  );
  const two = [holder({ kind: "unjudged" }), holder({ kind: "dead" }, 43)];
  const both = `${OWNER}, domain 'guest' (uuid ${UUID}, pid 43)`;
  assert.equal(
    said({ kind: "choose", holders: two }),
    `invalid argument: /ls/r1 is held by several, choose one by its uuid: ${both}`,
  );
  assert.equal(
    said({ kind: "choose", holders: two }, { uuid: "u" }),
    `invalid argument: No guest with uuid u holds /ls/r1; it is held by ${both}`,
  );
  const rest = "end the guest, and its lock goes by itself; --force --guest guest frees it now";
  assert.equal(
    said({ kind: "alive", holder: holder({ kind: "alive", pid: 42 }) }),
    `${denied}${OWNER} holds /ls/r1 and lives: ${rest}`,
  );
  assert.equal(
    said({ kind: "alive", holder: holder({ kind: "alive", pid: 7000 }) }),
    `${denied}${OWNER} holds /ls/r1 and lives as process 7000 of this host: ${rest}`,
  );
  assert.equal(
    said({ kind: "other-guest", holder: holder({ kind: "alive", pid: 42 }) }, { guest: "g" }),
    `${denied}/ls/r1 is held by ${OWNER}, not by the guest that --guest names, 'g'`,
  );
  assert.equal(
    said({ kind: "busy", holder: holder({ kind: "unjudged" }), reason: "QEMU writes to it" }),
    `${denied}${OWNER} holds /ls/r1, which is in use: QEMU writes to it; --force --guest guest frees it all the same`,
  );
  const refusal = {
    kind: "storage",
    action: "Unable to unlock /ls/r1",
    reason: "it does not answer",
  } as const;
  assert.equal(
    said({ kind: "failed", holder: holder({ kind: "dead" }), refusal }),
    `${denied}Release /ls/r1: internal error: Unable to unlock /ls/r1: it does not answer`,
  );
});
