import assert from "node:assert/strict";
import { parsePool } from "../../../../src/storaged/xml/pool_xml.ts";
import { formatVolume, parseVolume } from "../../../../src/storaged/xml/volume_xml.ts";

const POOL = parsePool("<pool type='dir'><name>p</name><target><path>/p</path></target></pool>");
const MPATH = parsePool("<pool type='mpath'><name>m</name><target><path>/dev/mapper</path></target></pool>");

Deno.test("parseVolume() takes the capacity for the allocation that is not said", () => {
  const volume = parseVolume(
    POOL,
    "<volume><name>a</name><capacity unit='K'>3</capacity></volume>",
    "required",
  );
  assert.deepEqual([volume.capacity, volume.allocation, volume.allocationSaid], [3072n, 3072n, false]);
  assert.equal(volume.format, "raw");
});

Deno.test("parseVolume() lets the capacity out where there is something to have it from", () => {
  const plain = "<volume><name>a</name></volume>";
  const backed = "<volume><name>a</name><backingStore><path>/b</path></backingStore></volume>";
  const missing = { code: 27, domain: 18, message: "XML error: missing capacity element" };
  assert.throws(() => parseVolume(POOL, plain, "required"), missing);
  assert.throws(() => parseVolume(POOL, plain, "optional-with-backing"), missing);
  assert.throws(() => parseVolume(POOL, backed, "required"), missing);
  assert.equal(parseVolume(POOL, backed, "optional-with-backing").capacity, 0n);
  assert.equal(parseVolume(POOL, plain, "optional").capacity, 0n);
});

Deno.test("parseVolume() takes features for version 1.1 of the format, and keeps libvirt's order", () => {
  const xml = "<volume><name>a</name><capacity>1</capacity><target><format type='qcow2'/>" +
    "<features><extended_l2/><lazy_refcounts/></features></target></volume>";
  const volume = parseVolume(POOL, xml, "required");
  assert.deepEqual([volume.compat, volume.features], ["1.1", ["lazy_refcounts", "extended_l2"]]);
});

Deno.test("parseVolume() refuses what libvirt refuses, in its words", () => {
  const cases: [string, number, number, string][] = [
    ["<capacity>1</capacity>", 27, 18, "XML error: missing volume name element"],
    ["<name>a</name><capacity unit='Q'>1</capacity>", 8, 0, "invalid argument: unknown suffix 'Q'"],
    ["<name>a</name><capacity>-1</capacity>", 27, 18, "XML error: malformed capacity element"],
    [
      "<name>a</name><capacity>1</capacity><target><format type='none'/></target>",
      67,
      18,
      "unsupported configuration: unknown volume format type none",
    ],
    [
      "<name>a</name><capacity>1</capacity><target><compat>1.x</compat></target>",
      27,
      18,
      "XML error: forbidden characters in 'compat' attribute",
    ],
    [
      "<name>a</name><capacity>1</capacity><target><features><magic/></features></target>",
      67,
      18,
      "unsupported configuration: unsupported feature magic",
    ],
    [
      "<name>a</name><capacity>1</capacity><target><encryption format='luks'><secret type='passphrase'/>" +
      "</encryption></target>",
      27,
      0,
      "XML error: missing secret uuid or usage attribute",
    ],
  ];
  for (const [inner, code, domain, message] of cases) {
    assert.throws(
      () => parseVolume(POOL, `<volume>${inner}</volume>`, "required"),
      { code, domain, message },
      inner,
    );
  }
});

Deno.test("formatVolume() shows no format where volumes have none, and extents by device", () => {
  const parsed = parseVolume(MPATH, "<volume><name>a</name><capacity>1</capacity></volume>", "required");
  const extents = [
    { path: "/dev/sda", start: 0n, end: 5n },
    { path: "/dev/sda", start: 6n, end: 7n },
    { path: "/dev/sdb", start: 0n, end: 9n },
  ];
  assert.equal(
    formatVolume(MPATH, { ...parsed, type: "block", key: "k", extents, physical: 9n }),
    `<volume type='block'>
  <name>a</name>
  <key>k</key>
  <source>
    <device path='/dev/sda'>
      <extent start='0' end='5'/>
      <extent start='6' end='7'/>
    </device>
    <device path='/dev/sdb'>
      <extent start='0' end='9'/>
    </device>
  </source>
  <capacity unit='bytes'>1</capacity>
  <allocation unit='bytes'>1</allocation>
  <physical unit='bytes'>9</physical>
  <target>
  </target>
</volume>
`,
  );
});

Deno.test("formatVolume() writes moments with nine digits, or none", () => {
  const parsed = parseVolume(POOL, "<volume><name>a</name><capacity>1</capacity></volume>", "required");
  const timestamps = {
    access: { seconds: 5, nanoseconds: 0 },
    modification: { seconds: 6, nanoseconds: 70 },
    change: { seconds: 7, nanoseconds: 123456789 },
    birth: undefined,
  };
  const text = formatVolume(POOL, { ...parsed, timestamps });
  assert.match(text, /<atime>5<\/atime>\n\s+<mtime>6\.000000070<\/mtime>\n\s+<ctime>7\.123456789<\/ctime>\n/);
  assert.doesNotMatch(text, /btime/);
});
