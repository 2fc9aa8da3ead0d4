import assert from "node:assert/strict";
import { emptyHeader, type Header, readHeader } from "../../../../src/chassis/wire/frame.ts";
import { ErrorDomain, rpcError } from "../../../../src/chassis/wire/rpc_error.ts";
import { XdrReader } from "../../../../src/chassis/wire/xdr_reader.ts";
import { ClientCalls } from "../../../../src/storaged/rpc/client_calls.ts";
import type { ClientLink, StreamReply } from "../../../../src/storaged/rpc/client_link.ts";
import { ClientStreams } from "../../../../src/storaged/rpc/client_streams.ts";
import { PlayedUpload } from "../../../support/played_upload.ts";

const CLIENT: ClientLink = {
  clientId: 1,
  pid: 2,
  uid: 3,
  gid: 4,
  connectedAt: 0,
  security: "",
  pidfd: -1,
  readOnly: false,
  authenticated: true,
  restrict: () => {},
  authenticate: () => {},
  keepAlive: () => {},
  tell: () => {},
};
const callOf = (serial: number, program = 7): Header => ({
  program,
  version: 1,
  procedure: 5,
  type: 0,
  serial,
  status: 0,
});
const NO_ARGUMENTS = new XdrReader(new Uint8Array(0));

/** Calls of a program whose one procedure does what the test says, with all that is heard of them. */
function given(run: (reply: StreamReply) => void): { calls: ClientCalls; heard: string[] } {
  const heard: string[] = [];
  let now = 100;
  const streams = new ClientStreams({
    send: () => void heard.push("stream"),
    pumpLater: () => {},
    resumeLater: () => {},
    clock: () => now,
  });
  const program = {
    name: "toy",
    number: 7,
    version: 1,
    procedureNames: new Map([[5, "play"]]),
    payloadLimit: () => 32,
    connect: () => ({
      session: undefined,
      call(procedure: number, _args: XdrReader, reply: StreamReply) {
        if (procedure === 5) run(reply);
        return procedure === 5;
      },
      disconnect: () => void heard.push("disconnected"),
    }),
  };
  const parts = {
    programs: [program],
    mostCalls: () => 2,
    clock: () => now += 10,
    served: (name: string, procedure: string, code: number, milliseconds: number) =>
      void heard.push(`served ${name}.${procedure}: ${code} after ${milliseconds} ms`),
  };
  const calls = new ClientCalls(parts, CLIENT, streams, {
    reply(frame, close) {
      const header = emptyHeader();
      readHeader(frame, 0, header);
      heard.push(
        `reply ${header.serial}: type ${header.type}, status ${header.status}${close ? ", last" : ""}`,
      );
    },
    crashed: (error) => void heard.push(`crashed: ${error}`),
    end: (reason) => void heard.push(`ended: ${reason}`),
  });
  return { calls, heard };
}

Deno.test("a call is under way until it is answered, and told of with its time", () => {
  const replies: StreamReply[] = [];
  const { calls, heard } = given((reply) => void replies.push(reply));
  calls.serve(callOf(1), NO_ARGUMENTS);
  assert.deepEqual([calls.size, calls.full], [1, false]);
  calls.serve(callOf(2), NO_ARGUMENTS);
  assert.deepEqual([calls.size, calls.full], [2, true]);
  replies[1]?.fail(rpcError(ErrorDomain.RPC, "not this one"));
  replies[0]?.okAndClose();
  assert.deepEqual(heard, [
    "served toy.play: 39 after 10 ms",
    "reply 2: type 1, status 1",
    "served toy.play: 0 after 30 ms",
    "reply 1: type 1, status 0, last",
  ]);
  assert.equal(calls.size, 0);
});

Deno.test("a call of no program is refused, and nothing is kept of what it brings", () => {
  const { calls, heard } = given(() => {});
  assert.deepEqual([calls.payloadLimit(callOf(1)), calls.payloadLimit(callOf(1, 8))], [32, 0]);
  calls.serve(callOf(1, 8), NO_ARGUMENTS);
  assert.deepEqual(heard, ["reply 1: type 1, status 1"]);
});

Deno.test("an unforeseen error is a refusal, and after an answer the end of the connection", () => {
  const before = given(() => {
    throw new Error("a fault");
  });
  before.calls.serve(callOf(1), NO_ARGUMENTS);
  assert.deepEqual(before.heard, [
    "crashed: Error: a fault",
    "served toy.play: 39 after 10 ms",
    "reply 1: type 1, status 1",
  ]);
  const within = given((reply) =>
    reply.ok(() => {
      throw new Error("a fault");
    })
  );
  within.calls.serve(callOf(1), NO_ARGUMENTS);
  assert.deepEqual(within.heard, [
    "served toy.play: 0 after 10 ms",
    "crashed: Error: a fault",
    "ended: a reply failed",
  ]);
});

Deno.test("a second stream of a serial is refused once its volume is free again", () => {
  const uploads = [new PlayedUpload(), new PlayedUpload()];
  let next = 0;
  const { calls, heard } = given((reply) => reply.upload(uploads[next++] as PlayedUpload));
  calls.serve(callOf(1), NO_ARGUMENTS);
  const freed: (() => void)[] = [];
  (uploads[1] as PlayedUpload).abort = (done) => void freed.push(done as () => void);
  calls.serve(callOf(1), NO_ARGUMENTS);
  assert.deepEqual(heard, ["served toy.play: 0 after 10 ms", "reply 1: type 1, status 0"]);
  freed[0]?.();
  assert.deepEqual(heard.slice(2), ["served toy.play: 39 after 10 ms", "reply 1: type 1, status 1"]);
});

Deno.test("an answer after the end of the connection goes nowhere", () => {
  const replies: StreamReply[] = [];
  const { calls, heard } = given((reply) => void replies.push(reply));
  calls.serve(callOf(1), NO_ARGUMENTS);
  calls.abandon();
  calls.disconnect();
  replies[0]?.ok();
  assert.deepEqual(heard, ["disconnected"]);
});
