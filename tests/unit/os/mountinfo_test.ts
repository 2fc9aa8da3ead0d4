import assert from "node:assert/strict";
import { parseMountinfo } from "../../../src/os/mountinfo.ts";

Deno.test("parseMountinfo() reads what there is to know of each mount, and leaves out what it does not understand", () => {
  const text = "22 1 8:1 / / rw,relatime shared:1 master:2 - ext4 /dev/sda1 rw,errors=remount-ro\n" +
    "a line of a newer kernel\n" +
    "23 22 0:45 /guests\\040a /mnt/b\\134c rw - nfs4 nas:/export\\011x rw,vers=4.2\n";
  assert.deepEqual(parseMountinfo(text), [
    {
      id: 22,
      parent: 1,
      devMajor: 8,
      devMinor: 1,
      root: "/",
      point: "/",
      type: "ext4",
      source: "/dev/sda1",
      options: ["rw", "errors=remount-ro"],
    },
    {
      id: 23,
      parent: 22,
      devMajor: 0,
      devMinor: 45,
      root: "/guests a",
      point: "/mnt/b\\c",
      type: "nfs4",
      source: "nas:/export\tx",
      options: ["rw", "vers=4.2"],
    },
  ]);
});
