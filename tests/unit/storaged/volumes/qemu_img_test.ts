import assert from "node:assert/strict";
import { parsePool } from "../../../../src/storaged/xml/pool_xml.ts";
import { parseVolume } from "../../../../src/storaged/xml/volume_xml.ts";
import { createCommands, imageToolLimits, resizeCommand } from "../../../../src/storaged/volumes/qemu_img.ts";
import type { VolumeDefinition } from "../../../../src/storaged/model/volume_definition.ts";

const POOL = parsePool("<pool type='dir'><name>p</name><target><path>/p</path></target></pool>");

function volume(target: string, rest = ""): VolumeDefinition {
  const xml =
    `<volume><name>v</name><capacity unit='M'>1</capacity>${rest}<target><path>/p/v</path>${target}` +
    "</target></volume>";
  return parseVolume(POOL, xml, "required");
}

function commands(made: VolumeDefinition, parts: Partial<Parameters<typeof createCommands>[0]> = {}) {
  const request = { volume: made, input: undefined, secretFile: undefined, preallocateMetadata: false };
  return createCommands({ ...request, ...parts }).map((each) => each.join(" "));
}

Deno.test("createCommands() makes a qcow2 image of version 1.1 where none is said, as libvirt 11", () => {
  assert.deepEqual(commands(volume("<format type='qcow2'/>")), ["create -f qcow2 -o compat=1.1 /p/v 1024K"]);
});

Deno.test("createCommands() rounds the size up to whole kibibytes", () => {
  const made = { ...volume("<format type='vmdk'/>"), capacity: 1025n };
  assert.deepEqual(commands(made), ["create -f vmdk /p/v 2K"]);
});

Deno.test("createCommands() doubles commas, so that a name is one option", () => {
  const secret = "<encryption format='luks'><secret type='passphrase' usage='u'/></encryption>";
  assert.deepEqual(commands(volume(`<format type='raw'/>${secret}`), { secretFile: "/run/a,b" }), [
    "create -f luks --object secret,id=v_encrypt0,file=/run/a,,b -o key-secret=v_encrypt0 /p/v 1024K",
  ]);
});

Deno.test("createCommands() tells apart sparse and full metadata preallocation", () => {
  const qcow2 = volume("<format type='qcow2'/>");
  assert.deepEqual(commands(qcow2, { preallocateMetadata: true }), [
    "create -f qcow2 -o preallocation=falloc,compat=1.1 /p/v 1024K",
  ]);
  assert.deepEqual(commands({ ...qcow2, allocation: 0n }, { preallocateMetadata: true }), [
    "create -f qcow2 -o preallocation=metadata,compat=1.1 /p/v 1024K",
  ]);
});

Deno.test("createCommands() refuses what a format cannot have", () => {
  const backing = "<backingStore><path>/b</path><format type='raw'/></backingStore>";
  const cases: [VolumeDefinition, boolean, string][] = [
    [volume("<format type='raw'/>", backing), false, "cannot set backing store for raw volume"],
    [volume("<format type='vmdk'/>"), true, "metadata preallocation only available with qcow2"],
    [
      volume("<format type='qed'/><compat>1.1</compat>"),
      false,
      "compatibility option only available with qcow2",
    ],
    [volume("<format type='qcow2'/>", backing), true, "metadata preallocation conflicts with backing store"],
    [
      volume("<format type='vmdk'/><encryption format='luks'/>"),
      false,
      "volume encryption unsupported with format vmdk",
    ],
  ];
  for (const [made, preallocateMetadata, detail] of cases) {
    const message = `unsupported configuration: ${detail}`;
    assert.throws(() => commands(made, { preallocateMetadata }), { code: 67, domain: 18, message }, detail);
  }
});

Deno.test("resizeCommand() says the format, rounds up to sectors, and shrinks only where it gets smaller", () => {
  const qcow2 = volume("<format type='qcow2'/>");
  assert.deepEqual(resizeCommand(qcow2, 2097153n, undefined).join(" "), "resize -f qcow2 /p/v 2097664");
  assert.deepEqual(resizeCommand(qcow2, 512n, undefined).join(" "), "resize --shrink -f qcow2 /p/v 512");
});

Deno.test("imageToolLimits() gives CPU time by the size that an image says, and memory by none", () => {
  assert.deepEqual(imageToolLimits({ capacity: 0n }), { memory: 4294967296, processor: 600 });
  assert.deepEqual(imageToolLimits({ capacity: 2n ** 40n }), { memory: 4294967296, processor: 105458 });
});
