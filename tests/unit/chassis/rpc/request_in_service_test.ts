import assert from "node:assert/strict";
import type { AnsweredRequest, Settled } from "../../../../src/chassis/rpc/durability.ts";
import type { BegunReply, Exchange } from "../../../../src/chassis/rpc/exchange.ts";
import { FrameCopies } from "../../../../src/chassis/rpc/frame_copies.ts";
import { RequestInService, type ServedClient } from "../../../../src/chassis/rpc/request_in_service.ts";
import { FRAME_MIN, type Header, MessageStatus, MessageType } from "../../../../src/chassis/wire/frame.ts";
import { EAGAIN, EPIPE } from "../../../../src/os/errno.ts";

const HEADER: Header = {
  program: 7,
  version: 1,
  procedure: 1,
  type: MessageType.CALL,
  serial: 5,
  status: MessageStatus.OK,
};
const NOTHING = new Uint8Array(0);

/** A client that takes so many bytes of a reply, and a durability that answers as the test wants it to. */
class Stage {
  readonly told: string[] = [];
  readonly requests: AnsweredRequest[] = [];
  settled: Settled = "volatile";
  resume: ((settled: "volatile" | "promised") => void) | undefined;
  /** What each send takes: all, so many bytes, or -errno. */
  takes: "all" | number = "all";
  closed = false;
  readonly exchange: Exchange = {
    input: new Uint8Array(200),
    output: new Uint8Array(65_536),
    turn: 3,
    lastReply: { number: 9, turn: 3, end: 28 } satisfies BegunReply,
    receive: () => 0,
    serveStored: () => {},
    promiseReply: () => 1,
    withdrawReply: () => void this.told.push("withdraw"),
    beginReply: (key, answers, bytes) => void this.told.push(`begin ${key} ${answers} ${bytes}`),
    send: (fd, length) => {
      const taken = this.takes === "all" ? length : this.takes;
      this.told.push(`send ${length} to ${fd}`);
      return taken;
    },
    finishReply: () => void this.told.push("finish"),
  };
  readonly request: RequestInService;

  constructor() {
    const closed = () => this.closed;
    const client: ServedClient = {
      fd: 30,
      key: 42,
      peer: { clientId: 21, pid: 1, uid: 2, gid: 3, connectedAt: 4, security: "", pidfd: -1 },
      get closed() {
        return closed();
      },
      unsettled: { bytes: NOTHING, dropped: 0 },
      unsent: NOTHING,
      end: (reason) => void this.told.push(`end: ${reason}`),
      proceed: () => void this.told.push("proceed"),
      update: () => void this.told.push("update"),
    };
    this.request = new RequestInService({
      exchange: this.exchange,
      durability: {
        settle: (request, resume) => {
          this.requests.push({ ...request, reply: request.reply.slice() });
          this.resume = resume;
          return this.settled;
        },
        inputChanged: () => {},
        outputChanged: (_client, { number }) => void this.told.push(`rest of ${number}`),
      },
      copies: new FrameCopies(),
      observer: { served: () => void this.told.push("served") },
      clock: () => 0,
      crashed: (id, error) => void this.told.push(`crashed ${id}: ${error}`),
    }, client);
  }

  /** What was told since this was asked last. */
  since(): string[] {
    return this.told.splice(0);
  }
}

Deno.test("RequestInService answers at once: settled, begun, sent, finished", () => {
  const stage = new Stage();
  const { request } = stage;
  const reply = request.begin(HEADER, undefined, 28, 28);
  assert.deepEqual([request.busy, request.running, request.writing], [true, true, false]);
  reply.ok();
  const { reply: bytes, ...asked } = stage.requests[0] ?? assert.fail();
  assert.deepEqual(asked, { key: 42, length: 28, atOnce: true, turn: 3, end: 28 });
  assert.equal(bytes.length, FRAME_MIN);
  assert.deepEqual(stage.since(), ["begin 42 28 volatile", `send ${FRAME_MIN} to 30`, "finish"]);
  assert.deepEqual([request.busy, request.unsent], [false, NOTHING]);
});

Deno.test("RequestInService keeps a request that waits, until its reply may be sent", () => {
  const stage = new Stage();
  const { request } = stage;
  const reply = request.begin(HEADER, undefined, 4, 8);
  const input = new Uint8Array([9, 9, 9, 9, 1, 2, 3, 4]);
  request.keep(input, 4, 4);
  input.fill(0);
  assert.deepEqual([request.unserved, request.unsettled], [
    new Uint8Array([1, 2, 3, 4]),
    new Uint8Array([1, 2, 3, 4]),
  ]);
  stage.settled = "later";
  reply.ok();
  assert.deepEqual([request.running, request.unserved, request.unsettled?.length], [true, undefined, 4]);
  assert.deepEqual([request.unsent.length, stage.since()], [FRAME_MIN, []]);
  assert.deepEqual(stage.requests.map(({ atOnce, length }) => [atOnce, length]), [[false, 4]]);
  stage.resume?.("promised");
  assert.deepEqual(stage.since(), [
    "begin 42 0 promised",
    `send ${FRAME_MIN} to 30`,
    "finish",
    "proceed",
  ]);
  assert.equal(request.busy, false);
});

Deno.test("RequestInService sends the rest when its client reads again, and closes only then", () => {
  const stage = new Stage();
  const { request } = stage;
  stage.takes = 10;
  request.begin(HEADER, undefined, 28, 28).okAndClose();
  assert.deepEqual(stage.since().slice(2), ["rest of 9", "update"]);
  assert.deepEqual([request.writing, request.running, request.unsent.length], [true, false, FRAME_MIN - 10]);
  stage.takes = -EAGAIN;
  request.sendRest();
  assert.equal(request.unsent.length, FRAME_MIN - 10);
  stage.since();
  stage.takes = "all";
  request.sendRest();
  assert.deepEqual(stage.since(), [
    "begin 42 0 recorded",
    `send ${FRAME_MIN - 10} to 30`,
    "finish",
    "rest of 9",
    "end: closed on request",
  ]);
  request.sendRest();
  assert.deepEqual(stage.since(), []);
});

Deno.test("RequestInService ends a connection to which nothing can be sent any more", () => {
  const stage = new Stage();
  stage.takes = -EPIPE;
  stage.request.begin(HEADER, undefined, 28, 28).ok();
  assert.deepEqual(stage.since().slice(2), ["end: send failed: Broken pipe"]);
});

Deno.test("RequestInService sends nothing to a client that has gone, whenever its request is answered", () => {
  const stage = new Stage();
  const reply = stage.request.begin(HEADER, undefined, 28, 28);
  stage.closed = true;
  reply.ok();
  assert.deepEqual([stage.requests, stage.since()], [[], []]);
  const other = new Stage();
  other.settled = "later";
  other.request.begin(HEADER, undefined, 28, 28).ok();
  other.closed = true;
  other.request.withdraw();
  other.resume?.("promised");
  assert.deepEqual(other.since(), ["withdraw", "withdraw"]);
});

Deno.test("RequestInService.pong() answers between replies, and never into the middle of one", () => {
  const stage = new Stage();
  stage.request.pong(28);
  assert.deepEqual(stage.since(), ["begin 42 28 volatile", `send ${FRAME_MIN} to 30`, "finish"]);
  stage.takes = 10;
  stage.request.pong(0);
  assert.deepEqual(stage.since().slice(2), ["rest of 9", "update"]);
  assert.equal(stage.request.unsent.length, FRAME_MIN - 10);
  const serving = new Stage();
  serving.request.begin(HEADER, undefined, 28, 28);
  serving.takes = -EAGAIN;
  serving.request.pong(0);
  assert.deepEqual(serving.since().slice(2), []);
  serving.takes = 10;
  serving.request.pong(0);
  assert.deepEqual(serving.since().slice(2), ["end: the client does not read"]);
});

Deno.test("RequestInService.crashed() refuses what was not answered, and ends what cannot be", () => {
  const stage = new Stage();
  const reply = stage.request.begin(HEADER, undefined, 28, 28);
  stage.request.crashed(reply, "oops");
  assert.deepEqual(stage.since().slice(0, 2), ["crashed 21: oops", "begin 42 28 volatile"]);
  const again = stage.request.begin(HEADER, undefined, 28, 28);
  assert.throws(() => again.ok(() => assert.fail("too long")), /too long/);
  stage.since();
  stage.request.crashed(again, "too long");
  assert.deepEqual(stage.since(), ["crashed 21: too long", "end: a reply failed"]);
});

Deno.test("RequestInService serves one request at a time, and goes on with a reply of an earlier life", () => {
  const stage = new Stage();
  stage.request.begin(HEADER, undefined, 28, 28);
  assert.throws(() => stage.request.begin(HEADER, undefined, 28, 28), /while another one is in service/);
  const next = new Stage();
  next.request.restore(NOTHING);
  assert.equal(next.request.busy, false);
  next.request.restore(new Uint8Array([1, 2, 3]));
  next.request.sendRest();
  assert.deepEqual(next.since(), ["begin 42 0 recorded", "send 3 to 30", "finish", "rest of 9"]);
});
