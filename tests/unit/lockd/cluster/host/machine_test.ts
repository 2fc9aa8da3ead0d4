import assert from "node:assert/strict";
import { machineOf } from "../../../../../src/lockd/cluster/host/machine.ts";
import { METAL, playedMachine } from "../../../../support/played_machine.ts";

const marked = (files: Record<string, string | undefined> = {}) =>
  machineOf(playedMachine({ ...METAL, ...files })).mark;
const missing = (files: Record<string, string | undefined>) => {
  const mark = marked(files);
  return "missing" in mark ? mark.missing : undefined;
};

Deno.test("a machine's mark is the same at each start, and gives nothing of the machine away", () => {
  assert.deepEqual(marked(), {
    board: "ccd4037bb2cc2389deb2992926904132",
    whole: "79e217e7dbabc897438e954fa6a81773",
  });
});

Deno.test("a copy of a disk in another machine, another board with the profile's uuid, and another installation differ", () => {
  const first = marked();
  for (
    const files of [
      { "/sys/class/dmi/id/product_uuid": "e5a0f1de-6f0c-4c39-9a7b-0f4d2f9b1c55\n" },
      { "/sys/class/dmi/id/product_serial": "CZJ124\n" },
      { "/sys/class/dmi/id/board_serial": "B-78\n" },
      { "/sys/class/dmi/id/board_serial": undefined },
      { "/etc/machine-id": "1b1c2d3e4f5061728394a5b6c7d8e9f0\n" },
    ]
  ) {
    const other = marked(files);
    assert.ok("whole" in first && "whole" in other && other.whole !== first.whole);
  }
});

Deno.test("what tells no machine from another one is no mark, with the reason", () => {
  assert.equal(
    missing({ "/sys/class/dmi/id/product_uuid": undefined }),
    "there is no /sys/class/dmi/id/product_uuid to read",
  );
  assert.match(
    missing({ "/sys/class/dmi/id/product_uuid": "03000200-0400-0500-0006-000700080009\n" }) ?? "",
    /is what vendors leave where none was set/,
  );
  // Vendors print letters of either kind.
  assert.match(
    missing({ "/sys/class/dmi/id/product_uuid": "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF\n" }) ?? "",
    /is what vendors leave where none was set/,
  );
  for (const id of [undefined, "", "uninitialized\n", "00000000000000000000000000000000\n"]) {
    assert.equal(missing({ "/etc/machine-id": id }), "/etc/machine-id has no id");
  }
});

Deno.test("a container has the firmware of its host, which tells nothing of it", () => {
  const { kind, mark } = machineOf(playedMachine({ ...METAL, "/.dockerenv": "" }));
  assert.deepEqual([kind, mark], [{ kind: "container", by: "/.dockerenv" }, {
    missing: "it is a container",
  }]);
});
