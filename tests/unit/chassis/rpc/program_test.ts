import assert from "node:assert/strict";
import { asProgram, type Peer, type Reply } from "../../../../src/chassis/rpc/program.ts";
import { XdrReader } from "../../../../src/chassis/wire/xdr_reader.ts";

const PEER: Peer = { clientId: 1, pid: 2, uid: 3, gid: 4, connectedAt: 5, security: "", pidfd: -1 };
const REPLY: Reply = { serial: 0, ok() {}, fail() {}, okAndClose() {} };

Deno.test("asProgram() gives each connection a session of its own and runs procedures by number", () => {
  const seen: string[] = [];
  const program = asProgram<{ name: string }>({
    name: "test",
    number: 7,
    version: 1,
    maxPayload: 8,
    procedures: new Map([[3, {
      name: "Third",
      run: ({ name }, args) => seen.push(`${name} ${args.u32()}`),
    }]]),
    connect: ({ clientId }) => ({ name: `client ${clientId}` }),
    disconnect: ({ name }) => seen.push(`${name} left`),
  });
  assert.deepEqual([...program.procedureNames], [[3, "Third"]]);
  const [one, two] = [program.connect(PEER), program.connect({ ...PEER, clientId: 9 })];
  const args = new XdrReader(new Uint8Array([0, 0, 0, 5, 0, 0, 0, 6]));
  assert.equal(one.call(3, args, REPLY), true);
  assert.equal(two.call(3, args, REPLY), true);
  assert.equal(one.call(4, args, REPLY), false);
  two.disconnect();
  assert.deepEqual(seen, ["client 1 5", "client 9 6", "client 9 left"]);
  assert.deepEqual(one.session, { name: "client 1" });
});
