import assert from "node:assert/strict";
import type { Sys } from "../../../../src/os/sys.ts";
import { silentMountOf } from "../../../../src/lockd/storage/file_reach.ts";
import { kernel } from "../../../support/kernel.ts";
import { Scratch } from "../../../support/scratch.ts";

/** A kernel whose list of mounts has one that may hang, at a directory. */
function withMount(scratch: Scratch, point: string, parts: Partial<Sys> = {}): Sys {
  const list = scratch.write(
    "mountinfo",
    `1 0 8:1 / / rw - ext4 /dev/sda rw\n2 1 0:50 / ${point} rw - nfs4 server:/x rw\n`,
  );
  return {
    ...kernel,
    open: (path, flags, mode) => kernel.open(path === "/proc/self/mountinfo" ? list : path, flags, mode),
    ...parts,
  };
}

Deno.test("silentMountOf() asks nobody for a file that is on no mount that may hang", () => {
  using scratch = new Scratch();
  const sys = withMount(scratch, "/net", { spawn: () => assert.fail("asked") });
  assert.equal(silentMountOf(sys, scratch.file("x.conf"), "wait"), undefined);
});

Deno.test("silentMountOf() is content with a file's content, and with an error", () => {
  using scratch = new Scratch();
  const sys = withMount(scratch, scratch.path);
  const file = scratch.write("x.conf", "y".repeat(200_000));
  const before = [...Deno.readDirSync("/proc/self/fd")].length;
  assert.equal(silentMountOf(sys, file, "wait"), undefined);
  assert.equal(silentMountOf(sys, scratch.file("absent"), "wait"), undefined);
  assert.equal(silentMountOf(sys, scratch.path, "wait"), undefined);
  assert.equal([...Deno.readDirSync("/proc/self/fd")].length, before);
});

Deno.test("silentMountOf() gives a mount up that gives nothing, and kills who waits for it", () => {
  using scratch = new Scratch();
  let clock = 0;
  const killed: number[] = [];
  const sys = withMount(scratch, scratch.path, {
    monotonic: () => clock,
    pollReadable: (_fd, timeout) => {
      clock += timeout;
      return 0;
    },
    // It keeps its end of the pipe for good.
    spawn: (options) => kernel.spawn({ ...options, argv: ["sh", "-c", "exec sleep 60"] }),
    kill: (pid, signal) => {
      killed.push(signal);
      return kernel.kill(pid, signal);
    },
    waitChild: (pid, _wait, into) => kernel.waitChild(pid, true, into),
  });
  assert.equal(silentMountOf(sys, scratch.file("x.conf"), "wait"), scratch.path);
  assert.equal(clock, 3000);
  assert.deepEqual(killed, [9]);
});

Deno.test("silentMountOf() lets a file be opened as it is when nobody can be asked", () => {
  using scratch = new Scratch();
  const mounts = { open: () => -2 };
  assert.equal(silentMountOf({ ...kernel, ...mounts }, scratch.file("x.conf"), "wait"), undefined);
  const pipe = withMount(scratch, scratch.path, { pipe: () => -24 });
  assert.equal(silentMountOf(pipe, scratch.file("x.conf"), "wait"), undefined);
  const spawn = withMount(scratch, scratch.path, { spawn: () => -11 });
  assert.equal(silentMountOf(spawn, scratch.file("x.conf"), "wait"), undefined);
});
