import assert from "node:assert/strict";
import { lookAt } from "../../../../src/lockd/lockspace/written_files.ts";
import { F_RDLCK, O_CREAT, O_RDONLY, O_RDWR, S_IFBLK, S_IFCHR } from "../../../../src/os/constants.ts";
import { ENOENT } from "../../../../src/os/errno.ts";
import { kernel } from "../../../support/kernel.ts";
import { Scratch } from "../../../support/scratch.ts";

/** /proc of process 42, with descriptors from 0 on. */
function proc(
  program: string | readonly (string | undefined)[],
  files: readonly { path: string; flags?: string; lock?: string; mode?: number }[],
) {
  const programs = typeof program === "string" ? [program, program] : [...program];
  const texts: string[] = [];
  const fileOf = (path: string) => files[Number(path.slice(path.lastIndexOf("/") + 1))];
  return {
    readlink: (path: string) =>
      path === "/proc/42/exe" ? programs.shift() ?? -ENOENT : fileOf(path)?.path ?? -ENOENT,
    listDirectory: () => files.map((_, index) => String(index)),
    open: (path: string) => {
      const file = fileOf(path);
      const lock = file?.lock === undefined ? "" : `lock:\t1: OFDLCK ADVISORY  READ -1 ${file.lock}\n`;
      return texts.push(`pos:\t0\nflags:\t${file?.flags ?? "0100002"}\n${lock}`) - 1;
    },
    read: (fd: number, into: Uint8Array) => new TextEncoder().encodeInto(texts[fd] ?? "", into).written,
    close: () => 0,
    lstat: (path: string, into: { mode: number }) => {
      const file = files.find((each) => each.path === path);
      into.mode = file?.mode ?? 0;
      return 0;
    },
  };
}

const STANDARD = [{ path: "/var/log/a" }, { path: "/var/log/a" }, { path: "/var/log/a" }];

Deno.test("lookAt() tells a QEMU and the images of which it has its own lock, in its own mount namespace too", () => {
  const sys = proc("/usr/bin/qemu-system-x86_64", [
    ...STANDARD,
    { path: "socket:[1]" },
    { path: "/images/a", lock: "fe:00:7 100 101" },
    { path: "/dev/sdb", lock: "00:3b:9 101 101", mode: S_IFBLK },
    // The base of an image chain, opened for reading.
    { path: "/images/base", flags: "0100000", lock: "fe:00:8 100 100" },
  ]);
  assert.deepEqual(lookAt(sys, 42), {
    qemu: true,
    files: [{ path: "/images/a", guard: "fe:00:7" }, { path: "/dev/sdb", guard: "00:3b:9" }],
  });
});

Deno.test("lookAt() takes what another program writes for a disk, but no kernel file and no character device", () => {
  const sys = proc("/usr/bin/writer", [
    ...STANDARD,
    { path: "/images/a", flags: "0100001" },
    { path: "/dev/null", mode: S_IFCHR },
    { path: "/dev/sdb", mode: S_IFBLK },
    { path: "/proc/1/oom_adj" },
    { path: "/sys/power/state" },
    { path: "/memfd:x (deleted)" },
    { path: "anon_inode:[eventfd]" },
  ]);
  assert.deepEqual(lookAt(sys, 42), { qemu: false, files: [{ path: "/images/a" }, { path: "/dev/sdb" }] });
});

Deno.test("lookAt() does not believe what it sees of a process that ends meanwhile", () => {
  assert.equal(lookAt(proc([undefined], STANDARD), 42), undefined);
  assert.equal(lookAt(proc(["/usr/bin/qemu-system-x86_64", undefined], STANDARD), 42), undefined);
});

Deno.test("lookAt() sees this process", () => {
  using scratch = new Scratch();
  const path = scratch.file("image");
  const plain = scratch.write("plain");
  const fds = [kernel.open(path, O_RDWR | O_CREAT, 0o600), kernel.open(plain, O_RDONLY, 0)];
  const inode = Deno.statSync(path).ino;
  assert.equal(kernel.ofdLock(fds[0] as number, F_RDLCK, 101, 1), 0);
  const sight = lookAt(kernel, Deno.pid);
  for (const fd of fds) kernel.close(fd);
  const mine = sight?.files.filter((file) => file.path.startsWith(scratch.path));
  assert.equal(mine?.length, 1);
  assert.match(mine?.[0]?.guard ?? "", new RegExp(`^[0-9a-f]{2,}:[0-9a-f]{2,}:${inode}$`));
  assert.equal(sight?.qemu, false);
  assert.equal(lookAt(kernel, 0x7ffffff), undefined);
});
