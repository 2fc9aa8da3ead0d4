import assert from "node:assert/strict";
import { XmlWriter } from "../../../../src/storaged/xml/xml_writer.ts";

Deno.test("XmlWriter indents by two spaces and quotes attributes as libvirt does", () => {
  const writer = new XmlWriter();
  writer.element("pool", { type: "dir", none: undefined }, () => {
    writer.leaf("name", "a");
    writer.leaf("gone", undefined);
    writer.element("source", {}, () => writer.empty("device", { path: "/dev/sda", size: 7n }));
    writer.gap();
  });
  assert.equal(
    writer.text,
    "<pool type='dir'>\n  <name>a</name>\n  <source>\n    <device path='/dev/sda' size='7'/>\n" +
      "  </source>\n\n</pool>\n",
  );
});

Deno.test("XmlWriter escapes what XML reserves, and leaves out what it forbids", () => {
  const writer = new XmlWriter();
  writer.leaf("name", `<&>"'\x01\x1fä\n`);
  assert.equal(writer.text, "<name>&lt;&amp;&gt;&quot;&apos;ä\n</name>\n");
});
