import assert from "node:assert/strict";
import { RpcFailure } from "../../src/chassis/wire/rpc_error.ts";
import { parsePool } from "../../src/storaged/xml/pool_xml.ts";
import { StorageFuzz } from "../fuzz/storage_fuzz.ts";
import { Random } from "../support/random.ts";

Deno.test("spoilt messages neither end the storage server nor keep it from serving others", () => {
  for (const seed of [1, 20261128]) {
    using fuzz = new StorageFuzz(seed);
    assert.equal(fuzz.run({ messages: 4000, seconds: Infinity }).messages, 4000);
  }
});

const DOCUMENT =
  "<pool type='netfs' xmlns:fs='http://libvirt.org/schemas/storagepool/fs/1.0'><name>p</name>" +
  "<uuid>00010203-0405-0607-0809-0a0b0c0d0e0f</uuid><capacity unit='G'>1</capacity><source><host name='h'/>" +
  "<dir path='/x'/><format type='nfs'/><protocol ver='4'/></source><target><path>/t</path><permissions>" +
  "<mode>0755</mode><owner>-1</owner></permissions></target><refresh><volume allocation='capacity'/></refresh>" +
  "<fs:mount_opts><fs:option name='sync'/></fs:mount_opts></pool>";

Deno.test("spoilt documents are refused, and never anything else", () => {
  const random = new Random(20261128);
  const parts = [
    "<",
    ">",
    "&",
    "'",
    "&#0;",
    "&#x10ffff;",
    "<![CDATA[",
    "<!DOCTYPE a [<!ENTITY b 'c'>]>",
    "\0",
    "-1",
  ];
  for (let round = 0; round < 5000; round++) {
    let text = DOCUMENT;
    for (let spoilt = 1 + random.below(4); spoilt > 0; spoilt--) {
      const [at, length] = [random.below(text.length), random.below(12)];
      text = text.slice(0, at) + (random.once(2) ? random.pick(parts) : "") + text.slice(at + length);
    }
    try {
      parsePool(text);
    } catch (error) {
      assert.ok(error instanceof RpcFailure, `${text}: ${error}`);
    }
  }
});
