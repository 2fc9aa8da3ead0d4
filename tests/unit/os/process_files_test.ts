import assert from "node:assert/strict";
import process from "node:process";
import { readlinkSync } from "node:fs";
import { O_CLOEXEC, O_RDONLY } from "../../../src/os/constants.ts";
import { ENOENT } from "../../../src/os/errno.ts";
import {
  descriptorPath,
  descriptorTarget,
  openDescriptors,
  programOf,
} from "../../../src/os/process_files.ts";
import { kernel } from "../../support/kernel.ts";
import { Scratch } from "../../support/scratch.ts";

/** The kernel never gives so high a number to a process. */
const NOBODY = 2 ** 30;

Deno.test("openDescriptors() and descriptorTarget() show what a process has open", () => {
  using scratch = new Scratch();
  const path = scratch.write("disk");
  const fd = kernel.open(path, O_RDONLY | O_CLOEXEC, 0);
  const open = openDescriptors(kernel, process.pid);
  assert.ok(typeof open !== "number" && open.includes(String(fd)));
  assert.equal(descriptorTarget(kernel, process.pid, fd), path);
  assert.equal(descriptorTarget(kernel, "self", String(fd)), path);
  kernel.close(fd);
  assert.equal(descriptorTarget(kernel, "self", fd), -ENOENT);
  assert.equal(openDescriptors(kernel, NOBODY), -ENOENT);
});

Deno.test("descriptorPath() is where a descriptor can be opened anew", () => {
  assert.equal(descriptorPath("self", 7), "/proc/self/fd/7");
  assert.equal(descriptorPath(12, "8"), "/proc/12/fd/8");
});

Deno.test("programOf() is what a process executes", () => {
  assert.equal(programOf(kernel, process.pid), readlinkSync("/proc/self/exe"));
  assert.equal(programOf(kernel, NOBODY), -ENOENT);
});
