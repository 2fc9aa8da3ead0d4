import assert from "node:assert/strict";
import { formatCapabilities, formatPoolCapabilities } from "../../../../src/storaged/xml/capabilities_xml.ts";

Deno.test("formatCapabilities() lists the types that can be served", () => {
  assert.equal(
    formatCapabilities(["dir", "fs"]),
    `<capabilities>

  <pool>
    <enum name='type'>
      <value>dir</value>
      <value>fs</value>
    </enum>
  </pool>

</capabilities>
`,
  );
});

Deno.test("formatPoolCapabilities() lists all types, in libvirt's order, with what they know", () => {
  const text = formatPoolCapabilities((type) => type === "netfs");
  assert.deepEqual(
    [...text.matchAll(/<pool type='([^']+)' supported='(yes|no)'>/g)].map(([, ...each]) => each),
    [
      ["dir", "no"],
      ["fs", "no"],
      ["netfs", "yes"],
      ["logical", "no"],
      ["disk", "no"],
      ["iscsi", "no"],
      ["iscsi-direct", "no"],
      ["scsi", "no"],
      ["mpath", "no"],
      ["rbd", "no"],
      ["sheepdog", "no"],
      ["gluster", "no"],
      ["zfs", "no"],
      ["vstorage", "no"],
    ],
  );
  assert.match(
    text,
    /<defaultFormat type='lvm2'\/>\n\s+<enum name='sourceFormatType'>\n\s+<value>unknown<\/value>\n\s+<value>lvm2</,
  );
});
