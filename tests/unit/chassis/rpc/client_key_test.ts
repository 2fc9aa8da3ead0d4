import assert from "node:assert/strict";
import { clientKey, idOf, ordinalOf } from "../../../../src/chassis/rpc/client_key.ts";

/** The first four are in the journals of earlier versions. */
const KEYS: readonly (readonly [ordinal: number, id: number, key: number])[] = [
  [0, 1, 2],
  [1, 1, 3],
  [0, 7, 14],
  [1, 7, 15],
  [2, 1, 2 ** 41 + 2],
  [3, 1, 2 ** 41 + 3],
  [4, 9, 2 ** 42 + 18],
  [4095, 2 ** 40 - 1, 2 ** 52 - 1],
];

for (const [ordinal, id, key] of KEYS) {
  Deno.test(`clientKey() of client ${id} of server ${ordinal} is ${key}, and is read back`, () => {
    assert.equal(clientKey(ordinal, id), key);
    assert.equal(ordinalOf(key), ordinal);
    assert.equal(idOf(key), id);
  });
}

for (const [ordinal, id] of [[0, -1], [-1, 1], [4096, 1], [0, 2 ** 40]] as const) {
  Deno.test(`clientKey() throws for client ${id} of server ${ordinal}`, () => {
    assert.throws(() => clientKey(ordinal, id), /No client/);
  });
}
