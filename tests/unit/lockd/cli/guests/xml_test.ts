import assert from "node:assert/strict";
import {
  childOf,
  childrenOf,
  childText,
  parseXml,
  XmlError,
} from "../../../../../src/lockd/cli/guests/xml.ts";

Deno.test("parseXml() reads elements, attributes and text, as libvirt writes them", () => {
  const root = parseXml(`<?xml version="1.0"?>
<!-- <a>not this</a> -- nor > this -->
<domain type='kvm' id="1">
  <name>a&amp;b &lt;&#233;&#xe9;&unknown;</name>
  <devices><disk a = 'it&apos;s'/><other/><disk a=""></disk ></devices>
  <x:meta xmlns:x='http://x/?a=1&amp;b=/>'><![CDATA[</name><&amp;]]></x:meta>
</domain>
`);
  assert.equal(root.name, "domain");
  assert.deepEqual([...root.attributes], [["type", "kvm"], ["id", "1"]]);
  assert.equal(childText(root, "name"), "a&b <éé&unknown;");
  const disks = childrenOf(childOf(root, "devices"), "disk");
  assert.deepEqual(disks.map(({ attributes }) => attributes.get("a")), ["it's", ""]);
  assert.equal(childText(root, "x:meta"), "</name><&amp;");
  assert.equal(childOf(root, "disk"), undefined);
  assert.equal(childText(undefined, "x"), undefined);
  assert.deepEqual(childrenOf(undefined, "x"), []);
});

Deno.test("parseXml() refuses what is cut off or no XML", () => {
  const reason = (text: string) => {
    try {
      parseXml(text);
    } catch (error) {
      return error instanceof XmlError ? error.message : "not an XmlError";
    }
    return "read";
  };
  assert.equal(reason("<a><b></a>"), "Unexpected end of <a>");
  assert.equal(reason("</a>"), "Unexpected end of <a>");
  assert.equal(reason("<a><b>"), "<b> does not end");
  assert.equal(reason("<a b='"), "No XML at character 0");
  assert.equal(reason("<a/>\n<b/>"), "There is not one outermost element");
  assert.equal(reason(""), "There is not one outermost element");
});

Deno.test("parseXml() reads a large document", () => {
  const text = `<a>${"<flag name='x'/>\n  ".repeat(100_000)}</a>`;
  assert.equal(parseXml(text).children.length, 100_000);
});
