import assert from "node:assert/strict";
import { F_RDLCK, F_WRLCK, O_CREAT, O_RDONLY, O_RDWR } from "../../../../src/os/constants.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { must } from "../../../../src/os/system_error.ts";
import {
  type FileIdentity,
  identityOf,
  procLockText,
} from "../../../../src/lockd/lockspace/file_identity.ts";
import type { Verdict } from "../../../../src/lockd/lockspace/settler.ts";
import { judgeGuards, judgeOpeners, syncFile } from "../../../../src/lockd/storage/last_writes.ts";
import { emptyStatus } from "../../../../src/os/sys.ts";
import { kernel } from "../../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";
import { Scratch } from "../../../support/scratch.ts";
import { sysWith } from "../../../support/storage_fixture.ts";
import { Unowned } from "../../../support/unowned.ts";

const COMMAND = Deno.readTextFileSync("/proc/self/comm").trim();
const OVER: Verdict = { kind: "over" };
const UNDER_WAY: Verdict = { kind: "busy", reason: "its last writes have not landed yet" };
const HIDDEN: Verdict = {
  kind: "unknown",
  reason: "somebody has it open who cannot be seen from here",
  opener: "seen",
};

/** An image on which the daemon has its lock, in a directory of its own. */
class Image implements Disposable {
  readonly scratch = new Scratch();
  readonly path = this.scratch.file("image");
  /** The daemon's descriptor. */
  readonly fd = must(kernel.open(this.path, O_RDWR | O_CREAT, 0o600), "open", this.path);
  readonly identity: FileIdentity;

  constructor() {
    must(kernel.ofdLock(this.fd, F_WRLCK, 0, 1), "lock", this.path);
    const status = emptyStatus();
    must(kernel.fstat(this.fd, status), "fstat", this.path);
    this.identity = identityOf(status);
  }

  /** As QEMU has it: with a lock on byte 101. */
  guarded(): number {
    const fd = must(kernel.open(this.path, O_RDWR, 0), "open", this.path);
    must(kernel.ofdLock(fd, F_RDLCK, 100, 2), "lock", this.path);
    return fd;
  }

  judge(sys: Sys = kernel, sync = false): Verdict {
    return judgeGuards(sys, { names: [], sync }, this.fd);
  }

  [Symbol.dispose](): void {
    kernel.close(this.fd);
    this.scratch[Symbol.dispose]();
  }
}

/** A kernel in which some processes' descriptors may not be seen. */
function blinkered(): Sys {
  return sysWith({
    listDirectory: (path) => /\d\/fdinfo$/.test(path) ? -13 : kernel.listDirectory(path),
  });
}

Deno.test("judgeGuards() finds that nobody has a guard any more", () => {
  using image = new Image();
  const before = openDescriptors();
  assert.deepEqual(image.judge(), OVER);
  assert.deepEqual(
    judgeGuards(kernel, { names: [procLockText(image.identity)], sync: false }, undefined),
    OVER,
  );
  assert.deepEqual(openedSince(before), []);
});

Deno.test("judgeGuards() names a living process that has the guard", () => {
  using image = new Image();
  const fd = image.guarded();
  const verdict = {
    kind: "unknown",
    reason: `process ${Deno.pid} (${COMMAND}) writes it too`,
    opener: "seen",
  };
  assert.deepEqual(image.judge(), verdict);
  const names = [procLockText(image.identity)];
  assert.deepEqual(judgeGuards(kernel, { names, sync: false }, undefined), verdict);
  kernel.close(fd);
});

Deno.test("judgeGuards() finds a guard that no process has, until it goes", () => {
  using image = new Image();
  const names = [procLockText(image.identity)];
  {
    using _writing = Unowned.take(image.guarded());
    assert.deepEqual(image.judge(), UNDER_WAY);
    assert.deepEqual(judgeGuards(kernel, { names, sync: false }, undefined), UNDER_WAY);
    assert.deepEqual(image.judge(blinkered()), HIDDEN);
  }
  assert.deepEqual(image.judge(), OVER);
});

/** A kernel of a host on which every look at a process takes seconds. */
function busyHost(): Partial<Sys> {
  let now = 0;
  return { monotonic: () => now += 6000 };
}

const LATE: Verdict = {
  kind: "busy",
  reason: "its last writes may not have landed yet, and not all processes could be looked at in time",
};

Deno.test("judging keeps a lock however long, when not all processes could be looked at in time", () => {
  using image = new Image();
  const fd = image.guarded();
  const names = [procLockText(image.identity)];
  const sys = sysWith(busyHost());
  assert.deepEqual(judgeGuards(sys, { names, sync: false }, undefined), LATE);
  assert.deepEqual(judgeGuards(sys, { names, sync: false, guests: [Deno.pid] }, undefined), LATE);
  assert.deepEqual(judgeOpeners(sys, image.identity), LATE);
  assert.deepEqual(judgeUnnamed(kernelWith(image, [lineOf(fd)], busyHost())), {
    kind: "busy",
    reason: "a disk of it was not seen open, and not all who write could be looked at in time",
  });
  kernel.close(fd);
  assert.deepEqual(judgeGuards(sys, { names, sync: false }, undefined), OVER);
});

Deno.test("judgeGuards() takes the guard of a guest that was started anew for its own", () => {
  using image = new Image();
  const names = [procLockText(image.identity)];
  const judge = (sys: Sys = kernel) => [
    judgeGuards(sys, { names, sync: false, guests: [1, Deno.pid] }, undefined),
    judgeGuards(sys, { names: [], sync: false, guests: [Deno.pid] }, image.fd),
  ];
  const fd = image.guarded();
  assert.deepEqual(judge(), [OVER, OVER]);
  {
    using _writing = Unowned.take(image.guarded());
    assert.deepEqual(judge(), [UNDER_WAY, UNDER_WAY]);
  }
  assert.deepEqual(judge(), [OVER, OVER]);
  assert.deepEqual(judge(blinkered()), [HIDDEN, HIDDEN]);
  kernel.close(fd);
});

Deno.test("judgeGuards() names a guest whose open file the process before may have had too", () => {
  using image = new Image();
  const names = [procLockText(image.identity)];
  const commandLine = image.scratch.file("cmdline");
  Deno.writeTextFileSync(commandLine, 'qemu\0-blockdev\0{"driver":"file","filename":"/dev/fdset/3"}\0');
  const handed = sysWith({
    open: (path, flags, mode) => kernel.open(path.endsWith("/cmdline") ? commandLine : path, flags, mode),
  });
  const judge = (sys: Sys) => judgeGuards(sys, { names, sync: false, guests: [Deno.pid] }, undefined);
  const verdict = {
    kind: "unknown",
    reason: `process ${Deno.pid} (${COMMAND}) writes it too`,
    opener: "seen",
  };
  const first = image.guarded();
  assert.deepEqual(judge(handed), verdict);
  // Two descriptors may be one open file, and hide that another one is left.
  const second = image.guarded();
  assert.deepEqual(judge(kernel), verdict);
  kernel.close(first);
  assert.deepEqual(judge(kernel), OVER);
  kernel.close(second);
});

Deno.test("judgeGuards() brings to the medium what is cached of every device that other hosts reach", () => {
  const places: Record<string, string> = {
    "8:0": "../../devices/platform/host3/session1/block/sda",
    "8:1": "../../devices/platform/host3/session1/block/sda/sda1",
    "7:0": "../../devices/virtual/block/loop0",
    "104:0": "../../devices/pci0000:00/block/cciss!c0d0",
    "254:0": "../../devices/pci0000:00/virtio1/block/vda",
  };
  const calls: string[] = [];
  let [fsync, open] = [0, 70];
  const sys = sysWith({
    listDirectory: (path) => path === "/sys/dev/block" ? Object.keys(places) : -2,
    readlink: (path) => places[path.slice("/sys/dev/block/".length)] ?? -2,
    open: (path, flags, mode) => {
      if (!path.startsWith("/dev/")) return kernel.open(path, flags, mode);
      calls.push(path);
      return path === "/dev/sda1" ? -123 : path === "/dev/vda" ? -1 : open;
    },
    fsync: () => fsync,
    close: (fd) => fd === 70 ? 0 : kernel.close(fd),
  });
  const judge = () => judgeGuards(sys, { names: [], sync: false, devices: true }, undefined);
  assert.deepEqual(judge(), OVER);
  assert.deepEqual(calls, ["/dev/sda", "/dev/sda1", "/dev/cciss/c0d0", "/dev/vda"]);
  fsync = -5;
  assert.deepEqual(judge(), {
    kind: "unknown",
    reason: "its last writes could not be brought to the medium: Input/output error",
  });
  open = -13;
  assert.deepEqual(judge(), {
    kind: "unknown",
    reason: "/dev/sda cannot be opened to bring last writes to the medium: Permission denied",
  });
});

/** The initial pid namespace, as the kernel calls it. */
const INITIAL = "4026531836";
const YOUNG = "a disk of it was not seen open";

/** The line of /proc/locks about a descriptor. Of a descriptor the kernel shows it at once and whole. */
function lineOf(fd: number): string {
  const [line, ...others] = Deno.readTextFileSync(`/proc/self/fdinfo/${fd}`).split("\n").flatMap((each) =>
    each.startsWith("lock:\t") ? [each.slice("lock:\t".length)] : []
  );
  assert.deepEqual([typeof line, others], ["string", []]);
  return line ?? "";
}

/** A kernel that has these locks only. */
function kernelWith(image: Image, lines: readonly string[], parts: Partial<Sys> = {}): Sys {
  const locks = image.scratch.file("locks");
  Deno.writeTextFileSync(locks, lines.map((line) => `${line}\n`).join(""));
  return sysWith({
    open: (path, flags, mode) => kernel.open(path === "/proc/locks" ? locks : path, flags, mode),
    readlink: (path) => path === "/proc/self/ns/pid" ? `pid:[${INITIAL}]` : kernel.readlink(path),
    ...parts,
  });
}

/** Judges one of which no image is known. */
function judgeUnnamed(sys: Sys): Verdict {
  return judgeGuards(sys, { names: [], sync: false, others: YOUNG }, undefined);
}

const STRAY: Verdict = {
  kind: "busy",
  reason: `${YOUNG}, and last writes of a guest that has ended are still under way`,
};
const UNSEEN: Verdict = { kind: "unknown", reason: `${YOUNG}, and not all who write can be seen from here` };

Deno.test("judgeGuards() finds the guard of an image that nobody has named, and that no process has", () => {
  using image = new Image();
  const fd = image.guarded();
  const own = [lineOf(fd)];
  assert.deepEqual(judgeUnnamed(kernelWith(image, own)), OVER);
  {
    using _writing = Unowned.take(fd);
    assert.deepEqual(judgeUnnamed(kernelWith(image, own)), STRAY);
    const readlink: Sys["readlink"] = (path) =>
      path === "/proc/self/ns/pid" ? "pid:[4026532000]" : kernel.readlink(path);
    assert.deepEqual(judgeUnnamed(kernelWith(image, own, { readlink })), UNSEEN);
    const { listDirectory } = blinkered();
    assert.deepEqual(judgeUnnamed(kernelWith(image, own, { listDirectory })), UNSEEN);
  }
  assert.deepEqual(judgeUnnamed(kernelWith(image, [])), OVER);
});

Deno.test("judgeGuards() finds it beside the guard of a process that has opened the image since", () => {
  using image = new Image();
  const gone = image.guarded();
  const line = lineOf(gone);
  {
    using _writing = Unowned.take(gone);
    const since = image.guarded();
    assert.deepEqual(judgeUnnamed(kernelWith(image, [line, line])), STRAY);
    kernel.close(since);
  }
  const since = image.guarded();
  assert.deepEqual(judgeUnnamed(kernelWith(image, [line])), OVER);
  kernel.close(since);
});

Deno.test("judgeGuards() does not count what a process has given up while it looked", () => {
  using image = new Image();
  const gone = image.guarded();
  const line = lineOf(gone);
  using _writing = Unowned.take(gone);
  let since: number | undefined = image.guarded();
  let lists = 0;
  const sys = kernelWith(image, [line]);
  const open: Sys["open"] = (path, flags, mode) => {
    // The last lists are those that are counted.
    if (path === "/proc/locks" && ++lists === 6 && since !== undefined) since = void kernel.close(since);
    return sys.open(path, flags, mode);
  };
  assert.deepEqual(judgeUnnamed({ ...sys, open }), STRAY);
  assert.equal(since, undefined);
});

Deno.test("judgeGuards() cannot tell by the number where a process may have one open file twice, or another one's", () => {
  using image = new Image();
  const [first, second] = [image.guarded(), image.guarded()];
  const line = lineOf(first);
  assert.deepEqual(judgeUnnamed(kernelWith(image, [line, line])), UNSEEN);
  kernel.close(second);
  assert.deepEqual(judgeUnnamed(kernelWith(image, [line])), OVER);
  const commandLine = image.scratch.file("cmdline");
  const sys = kernelWith(image, [line]);
  const judgeWith = (argument: string) => {
    Deno.writeTextFileSync(commandLine, `qemu\0${argument}\0`);
    const open: Sys["open"] = (path, flags, mode) =>
      sys.open(path.endsWith("/cmdline") ? commandLine : path, flags, mode);
    return judgeUnnamed({ ...sys, open });
  };
  assert.deepEqual(judgeWith('-blockdev\0{"driver":"file","filename":"/dev/fdset/3"}'), UNSEEN);
  assert.deepEqual(judgeWith("-drive\0file=/dev/fdset/3,if=virtio"), UNSEEN);
  // The log of a console is no disk.
  assert.deepEqual(judgeWith("-chardev\0pty,id=charserial0,logfile=/dev/fdset/0,logappend=on"), OVER);
  kernel.close(first);
});

Deno.test("judgeGuards() does not believe in what it cannot see", () => {
  using image = new Image();
  const unreadable = sysWith({
    open: (path, flags, mode) => path === "/proc/locks" ? -13 : kernel.open(path, flags, mode),
  });
  assert.deepEqual(image.judge(unreadable), HIDDEN);
  assert.deepEqual(image.judge(sysWith({ ofdProbe: () => -5 })), {
    kind: "unknown",
    reason: "the lock of its writer cannot be asked for: Input/output error",
  });
  // A lock that only the server of a network file system knows.
  const ofdProbe: Sys["ofdProbe"] = (_fd, _type, _start, _length, into) => {
    into.type = F_RDLCK;
    return 0;
  };
  assert.deepEqual(image.judge(sysWith({ ofdProbe })), {
    kind: "unknown",
    reason: "its storage says that somebody still writes it",
  });
});

Deno.test("judgeGuards() brings what is cached to the medium where other hosts reach it", () => {
  using image = new Image();
  const synced: number[] = [];
  const sys = sysWith({ fsync: (fd) => synced.push(fd) - synced.length });
  assert.deepEqual(image.judge(sys, false), OVER);
  assert.deepEqual(synced, []);
  assert.deepEqual(image.judge(sys, true), OVER);
  assert.deepEqual(synced, [image.fd]);
  assert.deepEqual(image.judge(sysWith({ fsync: () => -5 }), true), {
    kind: "unknown",
    reason: "its last writes could not be brought to the medium: Input/output error",
  });
});

Deno.test("judgeOpeners() names who has a file open, but not the daemon nor who keeps its descriptors", () => {
  using image = new Image();
  const copy = kernel.fcntl(image.fd, 1030, 0);
  assert.deepEqual(judgeOpeners(kernel, image.identity), UNDER_WAY);
  const fd = kernel.open(image.path, O_RDONLY, 0);
  assert.deepEqual(judgeOpeners(kernel, image.identity), {
    kind: "unknown",
    reason: `process ${Deno.pid} (${COMMAND}) has it open`,
    opener: "seen",
  });
  kernel.close(fd);
  kernel.close(copy);
  assert.deepEqual(judgeOpeners(blinkered(), image.identity), HIDDEN);
});

Deno.test("syncFile() brings a file to the medium, and has nothing to do for one that is not there", () => {
  using scratch = new Scratch();
  const path = scratch.write("file");
  const before = openDescriptors();
  assert.deepEqual(syncFile(kernel, path), { verdict: OVER, denied: false });
  assert.deepEqual(syncFile(kernel, scratch.file("absent")), { verdict: OVER, denied: false });
  const closed = (why: string) => `${path} cannot be opened to bring its last writes to the medium: ${why}`;
  assert.deepEqual(syncFile(sysWith({ open: () => -13 }), path), {
    verdict: { kind: "unknown", reason: closed("Permission denied") },
    denied: true,
  });
  assert.deepEqual(syncFile(sysWith({ open: () => -5 }), path), {
    verdict: { kind: "unknown", reason: closed("Input/output error") },
    denied: false,
  });
  assert.deepEqual(syncFile(sysWith({ fsync: () => -28 }), path), {
    verdict: {
      kind: "unknown",
      reason: "its last writes could not be brought to the medium: No space left on device",
    },
    denied: false,
  });
  assert.deepEqual(openedSince(before), []);
});
