import assert from "node:assert/strict";
import { NO_SIZES } from "../../../../src/storaged/model/pool_definition.ts";
import {
  formatPool,
  formatPoolState,
  parsePool,
  parsePoolState,
} from "../../../../src/storaged/xml/pool_xml.ts";

const UUID = "0a1b2c3d-0000-4000-8000-00000000000a";

function dir(inner: string): string {
  return `<pool type='dir'>${inner}</pool>`;
}

Deno.test("parsePool() and formatPool() go through libvirt's form", () => {
  const xml = `<pool type='netfs' xmlns:fs='http://libvirt.org/schemas/storagepool/fs/1.0'>
  <name>images</name>
  <uuid>${UUID}</uuid>
  <capacity unit='bytes'>0</capacity>
  <allocation unit='bytes'>0</allocation>
  <available unit='bytes'>0</available>
  <source>
    <host name='server' port='2049'/>
    <dir path='/exports/images'/>
    <format type='nfs'/>
    <protocol ver='4.1'/>
  </source>
  <target>
    <path>/mnt</path>
    <permissions>
      <mode>0700</mode>
      <owner>0</owner>
      <group>4294967294</group>
      <label>system_u:object_r:virt_image_t:s0</label>
    </permissions>
  </target>
  <fs:mount_opts>
    <fs:option name='sync'/>
  </fs:mount_opts>
</pool>
`;
  const definition = parsePool(xml);
  assert.equal(definition.target.permissions.group, 4294967294);
  assert.equal(formatPool(definition, NO_SIZES), xml);
});

Deno.test("parsePool() makes a uuid where there is none, and takes one without dashes", () => {
  const one = parsePool(dir("<name>a</name><target><path>/x</path></target>"));
  assert.match(one.uuid, /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  const other = parsePool(
    dir("<name>a</name><uuid>0A1B2C3D00004000800000000000000A</uuid><target><path>/x</path></target>"),
  );
  assert.equal(other.uuid, UUID);
});

Deno.test("parsePool() refuses what libvirt refuses, in its words", () => {
  const cases: [string, number, number, string][] = [
    [
      "<pool type='bogus'><name>a</name></pool>",
      27,
      5,
      "XML error: Invalid value for attribute 'type' in element 'pool': 'bogus'.",
    ],
    [
      "<pool><name>a</name></pool>",
      27,
      5,
      "XML error: Missing required attribute 'type' in element 'pool'",
    ],
    [dir("<target><path>/x</path></target>"), 27, 18, "XML error: missing pool source name element"],
    [dir("<name>a</name>"), 27, 18, "XML error: missing storage pool target path"],
    [
      dir("<name>a/b</name><target><path>/x</path></target>"),
      27,
      18,
      "XML error: name a/b cannot contain '/'",
    ],
    [
      dir("<name>a</name><uuid>zz</uuid><target><path>/x</path></target>"),
      27,
      18,
      "XML error: malformed uuid element",
    ],
    [
      "<pool type='netfs'><name>r</name><source><dir path='/x'/></source></pool>",
      27,
      18,
      "XML error: missing storage pool source host name",
    ],
    [
      "<pool type='fs'><name>r</name><source/></pool>",
      27,
      18,
      "XML error: missing storage pool source device name",
    ],
    [
      "<pool type='fs'><name>r</name><source><format type='zip'/></source></pool>",
      67,
      18,
      "unsupported configuration: unknown pool format type zip",
    ],
    [
      dir("<name>a</name><target><path>/x</path><permissions><mode>999</mode></permissions></target>"),
      27,
      18,
      "XML error: malformed octal mode",
    ],
    [
      "<pool type='netfs'><name>r</name><features><cow state='no'/></features></pool>",
      3,
      18,
      "this function is not supported by the connection driver: cow feature may only be used for 'fs' and " +
      "'dir' pools",
    ],
  ];
  for (const [xml, code, domain, message] of cases) {
    assert.throws(() => parsePool(xml), { code, domain, message }, xml);
  }
});

Deno.test("the state of a pool goes through its file's form, with its sizes", () => {
  const definition = parsePool(
    dir(`<name>a</name><uuid>${UUID}</uuid><target><path>/x</path></target>`),
  );
  const text = formatPoolState(definition, { capacity: 9n, allocation: 4n, available: 5n });
  assert.match(text, /^<poolstate>\n {2}<pool type='dir'>\n {4}<name>a<\/name>\n/);
  assert.match(text, /<available unit='bytes'>5<\/available>/);
  assert.deepEqual(parsePoolState(text), definition);
});
