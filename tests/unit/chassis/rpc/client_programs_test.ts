import assert from "node:assert/strict";
import { ClientPrograms } from "../../../../src/chassis/rpc/client_programs.ts";
import { PendingReply } from "../../../../src/chassis/rpc/pending_reply.ts";
import { asProgram, type Peer, type Program } from "../../../../src/chassis/rpc/program.ts";
import { encodeFrame, type Header, MessageStatus, MessageType } from "../../../../src/chassis/wire/frame.ts";
import { XdrWriter } from "../../../../src/chassis/wire/xdr_writer.ts";

const PEER: Peer = { clientId: 21, pid: 1, uid: 2, gid: 3, connectedAt: 4, security: "", pidfd: -1 };

/** A program with one procedure, which notes its argument in its session. */
function program(number: number, ended: string[]): Program {
  return asProgram<number[]>({
    name: `program ${number}`,
    number,
    version: 1,
    maxPayload: 100,
    procedures: new Map([[1, {
      name: "Note",
      run: (seen, args, reply) => {
        seen.push(args.u32());
        if (seen.includes(666)) throw new TypeError("not foreseen");
        reply.ok();
      },
    }]]),
    connect: () => [],
    disconnect: () => void ended.push(`${number}`),
  });
}

function header(parts: Partial<Header>): Header {
  return {
    program: 7,
    version: 1,
    procedure: 1,
    type: MessageType.CALL,
    serial: 5,
    status: MessageStatus.OK,
    ...parts,
  };
}

/** Calls with one argument. @returns the code that was answered, and what was thrown besides */
function call(programs: ClientPrograms, head: Header, value: number): (number | string | undefined)[] {
  const codes: number[] = [];
  const found = programs.find(head);
  const reply = new PendingReply({ answer: (_reply, { code }) => void codes.push(code) }, head, found, 0);
  const words = head.type === MessageType.CALL_WITH_FDS ? [0, value] : [value];
  const writer = new XdrWriter();
  for (const word of words) writer.u32(word);
  const frame = encodeFrame(head, writer.bytes);
  const bytes = new Uint8Array(frame.length + 3);
  bytes.set(frame, 3);
  const failure = programs.call(found, { bytes, at: 3, end: bytes.length }, reply);
  return [codes[0], failure === undefined ? undefined : String(failure.error)];
}

Deno.test("ClientPrograms runs what a call means in the session of its program", () => {
  const programs = new ClientPrograms([program(7, []), program(8, [])], PEER);
  assert.deepEqual(call(programs, header({}), 11), [0, undefined]);
  assert.deepEqual(call(programs, header({ program: 8 }), 12), [0, undefined]);
  // The number of descriptors that come along is in front of the arguments.
  assert.deepEqual(call(programs, header({ type: MessageType.CALL_WITH_FDS }), 13), [0, undefined]);
  assert.deepEqual([programs.session(7), programs.session(8), programs.session(9)], [
    [11, 13],
    [12],
    undefined,
  ]);
});

Deno.test("ClientPrograms refuses a program, a version and a procedure that there is not", () => {
  const programs = new ClientPrograms([program(7, [])], PEER);
  assert.equal(programs.find(header({ program: 9 })), undefined);
  assert.equal(programs.find(header({ version: 2 })), undefined);
  for (const wrong of [{ program: 9 }, { version: 2 }, { procedure: 4 }]) {
    assert.deepEqual(call(programs, header(wrong), 11), [39, undefined]);
  }
  assert.deepEqual(programs.session(7), []);
});

Deno.test("ClientPrograms gives back what nobody has foreseen, and nothing is answered then", () => {
  const programs = new ClientPrograms([program(7, [])], PEER);
  assert.deepEqual(call(programs, header({}), 666), [undefined, "TypeError: not foreseen"]);
});

Deno.test("ClientPrograms.disconnect() ends the use of each program", () => {
  const ended: string[] = [];
  new ClientPrograms([program(7, ended), program(8, ended)], PEER).disconnect();
  assert.deepEqual(ended, ["7", "8"]);
});
