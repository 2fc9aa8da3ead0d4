import assert from "node:assert/strict";
import { ClientSocket } from "../../../../src/storaged/rpc/client_socket.ts";
import { EPOLLERR, EPOLLIN, EPOLLOUT } from "../../../../src/os/constants.ts";
import { kernel } from "../../../support/kernel.ts";

/** A socket that receives what the test says, and what its loop is told. */
function stage() {
  const told: string[] = [];
  const answers: (number | Uint8Array)[] = [];
  const bytes = new Uint8Array(16);
  const sys = {
    ...kernel,
    send: (_fd: number, sent: Uint8Array) => sent.length,
    receiveInto: (_fd: number, _pointer: Deno.PointerValue, most: number) => {
      const answer = answers.shift() ?? 0;
      if (typeof answer === "number") return answer;
      bytes.set(answer.subarray(0, most));
      return Math.min(most, answer.length);
    },
  };
  const loop = {
    add: (fd: number, events: number) => void told.push(`add ${fd} ${events}`),
    modify: (fd: number, events: number) => void told.push(`modify ${fd} ${events}`),
    remove: (fd: number) => void told.push(`remove ${fd}`),
  };
  const socket = new ClientSocket({ sys, loop, buffer: { bytes, pointer: null } }, 7, () => {});
  return { socket, answers, told };
}

Deno.test("ClientSocket.receive() gives what came, and no more than is asked for", () => {
  const { socket, answers } = stage();
  answers.push(Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5, 6));
  assert.deepEqual(socket.receive(), Uint8Array.of(1, 2, 3));
  assert.deepEqual(socket.receive(2), Uint8Array.of(4, 5));
});

Deno.test("ClientSocket.receive() tells nothing that may still come from what does not", () => {
  const { socket, answers } = stage();
  answers.push(-11, -12, 0, -104);
  assert.equal(socket.receive(), undefined);
  assert.equal(socket.receive(), undefined);
  assert.equal(socket.receive(), "end of stream");
  assert.equal(socket.receive(), "receive failed: Connection reset by peer");
});

Deno.test("ClientSocket.watch() asks the loop only for what has changed, and at least for the client's end", () => {
  const { socket, told } = stage();
  socket.leave();
  assert.deepEqual(told, []);
  socket.watch(true, false);
  socket.watch(true, false);
  assert.equal(socket.reading, true);
  socket.watch(false, false);
  assert.equal(socket.reading, false);
  socket.watch(true, true);
  socket.leave();
  socket.leave();
  assert.deepEqual(told, [
    `add 7 ${EPOLLIN}`,
    `modify 7 ${EPOLLERR}`,
    `modify 7 ${EPOLLIN | EPOLLOUT}`,
    "remove 7",
  ]);
});

Deno.test("ClientSocket.send() lets bytes go at once where the client reads", () => {
  const { socket } = stage();
  assert.deepEqual(socket.send(Uint8Array.of(1), true), { kind: "all" });
  assert.equal(socket.unsent, 0);
});
