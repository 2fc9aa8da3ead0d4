import assert from "node:assert/strict";
import { ENOSPC } from "../../../src/os/errno.ts";
import { writeWhole } from "../../../src/os/write_whole.ts";
import { kernel } from "../../support/kernel.ts";
import { Scratch } from "../../support/scratch.ts";

const NEW = new TextEncoder().encode("new");

Deno.test("a file is replaced as a whole, and only its owner may read it", () => {
  using scratch = new Scratch();
  const path = scratch.write("file", "an old one");
  writeWhole(kernel, path, NEW);
  assert.equal(Deno.readTextFileSync(path), "new");
  assert.equal((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
});

Deno.test("a file that cannot be written is the old one, and nothing is left behind", () => {
  using scratch = new Scratch();
  const path = scratch.write("file", "an old one");
  assert.throws(() => writeWhole({ ...kernel, write: () => -ENOSPC }, path, NEW), { errno: ENOSPC });
  assert.equal(Deno.readTextFileSync(path), "an old one");
  assert.deepEqual([...Deno.readDirSync(scratch.path)].map(({ name }) => name), ["file"]);
});
