import assert from "node:assert/strict";
import {
  PoolProcedure,
  readPool,
  VolumeProcedure,
  writePool,
} from "../../src/storaged/wire/remote_protocol.ts";
import { fuzzDocuments, POOL_DOCUMENTS, spoil, VOLUME_DOCUMENTS } from "../fuzz/document_fuzz.ts";
import { StorageFuzz } from "../fuzz/storage_fuzz.ts";
import { Random } from "../support/random.ts";
import { StorageDaemon } from "../support/storage_daemon.ts";

Deno.test("spoilt messages neither end the storage server nor keep it from serving others", () => {
  for (const seed of [1, 20261128]) {
    using fuzz = new StorageFuzz(seed);
    assert.equal(fuzz.run({ messages: 4000, seconds: Infinity }).messages, 4000);
  }
});

Deno.test("spoilt documents are refused with a text, or taken and written as they were read", () => {
  for (const seed of [1, 2, 3, 4, 20261128]) {
    const { accepted, refused } = fuzzDocuments(seed, 4000);
    assert.ok(accepted > 100 && refused > 100, `${accepted} were taken, ${refused} refused`);
  }
});

Deno.test("a daemon that is sent spoilt documents answers each, and serves on", async () => {
  await using daemon = await StorageDaemon.start();
  using client = daemon.open();
  const path = `${daemon.place.directory}/pool`;
  Deno.mkdirSync(path);
  const plain = `<pool type='dir'><name>ours</name><target><path>${path}</path></target></pool>`;
  const pool = readPool(client.call(PoolProcedure.CREATE_XML, (writer) => {
    writer.string(plain);
    writer.u32(0);
  }));
  const random = new Random(7);
  let refused = 0;
  for (let round = 0; round < 400; round++) {
    // Only defined, never started: what a spoilt path names is not touched.
    const document = spoil(random.pick(POOL_DOCUMENTS), random);
    const defined = client.ask(PoolProcedure.DEFINE_XML, (writer) => {
      writer.string(document);
      writer.u32(0);
    });
    if (typeof defined === "string") refused++;
    const made = client.ask(VolumeProcedure.CREATE_XML, (writer) => {
      writePool(writer, pool);
      writer.string(spoil(VOLUME_DOCUMENTS[0] as string, random));
      writer.u32(0);
    });
    for (const answer of [defined, made]) {
      if (typeof answer === "string") assert.match(answer, /^\d+\/\d+ \S/);
      assert.doesNotMatch(String(answer), /unexpectedly/);
    }
  }
  assert.ok(refused > 40 && refused < 400, `${refused} pools were refused`);
  assert.equal(client.call(PoolProcedure.NUM_OF_POOLS).i32(), 1);
});
