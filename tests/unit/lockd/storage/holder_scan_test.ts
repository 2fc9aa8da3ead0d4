import assert from "node:assert/strict";
import { F_WRLCK, O_CREAT, O_RDWR } from "../../../../src/os/constants.ts";
import { EACCES } from "../../../../src/os/errno.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import { emptyStatus, type Sys } from "../../../../src/os/sys.ts";
import { must } from "../../../../src/os/system_error.ts";
import { type FileIdentity, identityOf } from "../../../../src/lockd/lockspace/file_identity.ts";
import { findLocalHolder, type LocalHolder } from "../../../../src/lockd/storage/holder_scan.ts";
import { inDirectory, sysWith } from "../../../support/storage_fixture.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";

/** Finds the holder of a file on which this process takes a lock with `lock`. */
function holder(directory: string, lock: (sys: Sys, fd: number) => void, sys: Sys = linuxSys()): LocalHolder {
  const path = `${directory}/lock`;
  const fd = must(sys.open(path, O_RDWR | O_CREAT, 0o600), "open", path);
  try {
    lock(sys, fd);
    return findLocalHolder(sys, path, identity(path));
  } finally {
    sys.close(fd);
  }
}

function identity(path: string): FileIdentity {
  const status = emptyStatus();
  must(linuxSys().stat(path, status), "stat", path);
  return identityOf(status);
}

const COMMAND = Deno.readTextFileSync("/proc/self/comm").trim();

Deno.test(
  "findLocalHolder() finds the process of an open-file-description lock",
  inDirectory((directory) => {
    assert.deepEqual(
      holder(directory, (sys, fd) => must(sys.ofdLock(fd, F_WRLCK, 0, 1), "lock", directory)),
      { kind: "process", pid: Deno.pid, command: COMMAND },
    );
  }),
);

Deno.test(
  "findLocalHolder() finds the process of a POSIX lock",
  inDirectory((directory) => {
    assert.deepEqual(
      holder(directory, (sys, fd) => must(sys.posixLock(fd, F_WRLCK, 0, 0), "lock", directory)),
      { kind: "process", pid: Deno.pid, command: COMMAND },
    );
  }),
);

Deno.test(
  "findLocalHolder() says that nobody of this host holds a file that is not locked at byte 0",
  inDirectory((directory) => {
    assert.deepEqual(
      holder(directory, (sys, fd) => must(sys.ofdLock(fd, F_WRLCK, 100, 1), "lock", directory)),
      { kind: "absent" },
    );
  }),
);

Deno.test(
  "findLocalHolder() leaves no descriptor open",
  inDirectory((directory) => {
    const before = openDescriptors();
    holder(directory, (sys, fd) => must(sys.ofdLock(fd, F_WRLCK, 0, 1), "lock", directory));
    assert.deepEqual(openedSince(before), []);
  }),
);

Deno.test(
  "findLocalHolder() gives up after three seconds",
  inDirectory((directory) => {
    let now = 0;
    const sys = sysWith({ monotonic: () => now += 1000 });
    const found = holder(
      directory,
      (sys, fd) => must(sys.ofdLock(fd, F_WRLCK, 0, 1), "lock", directory),
      sys,
    );
    assert.deepEqual(found, { kind: "unknown" });
    assert.equal(now, 5000);
  }),
);

Deno.test(
  "findLocalHolder() does not know a holder whose descriptors it may not see",
  inDirectory((directory) => {
    const sys = sysWith({ listDirectory: (path) => path === "/proc" ? ["1", "self", "2"] : -EACCES });
    assert.deepEqual(
      holder(directory, (sys, fd) => must(sys.ofdLock(fd, F_WRLCK, 0, 1), "lock", directory), sys),
      { kind: "unknown" },
    );
  }),
);

Deno.test(
  "findLocalHolder() knows nothing without /proc/locks",
  inDirectory((directory) => {
    const real = linuxSys();
    const sys = sysWith({
      open: (path, flags, mode) => path === "/proc/locks" ? -EACCES : real.open(path, flags, mode),
    });
    assert.deepEqual(holder(directory, () => {}, sys), { kind: "unknown" });
  }),
);

/**
 * A kernel whose files are texts: /proc of a host with a subvolume, which has another device than its locks
 * show.
 */
class TextFiles {
  readonly opened: string[] = [];
  readonly #texts: Record<string, string>;
  readonly #status: FileIdentity;

  constructor(texts: Record<string, string>, status: FileIdentity) {
    this.#texts = texts;
    this.#status = status;
  }

  get sys(): Sys {
    const real = linuxSys();
    const read = (fd: number, into: Uint8Array, position: number) =>
      new TextEncoder().encodeInto((this.#texts[this.opened[fd] ?? ""] ?? "").slice(position), into).written;
    return {
      ...real,
      open: (path) => this.#texts[path] === undefined ? -EACCES : this.opened.push(path) - 1,
      close: () => 0,
      read: (fd, into) => read(fd, into, 0),
      pread: read,
      fstat: (_fd, into) => {
        Object.assign(into, this.#status);
        return 0;
      },
      listDirectory: (path) => {
        const names = Object.keys(this.#texts).filter((name) => name.startsWith(`${path}/`));
        return [...new Set(names.map((name) => name.slice(path.length + 1).split("/")[0] as string))];
      },
    };
  }
}

const SUBVOLUME = { devMajor: 0, devMinor: 46, inodeLow: 257, inodeHigh: 0 };
const PROC = {
  "/images/a": "",
  "/proc/self/fdinfo/0": "pos:\t0\nflags:\t012000000\nmnt_id:\t61\nino:\t257\n",
  "/proc/self/mountinfo":
    "60 27 0:46 / /other rw - tmpfs t rw\n61 27 0:43 /@images /images rw - btrfs /dev/sda rw\n",
  "/proc/locks": "1: OFDLCK ADVISORY  WRITE -1 00:2b:257 0 0\n2: POSIX  ADVISORY  WRITE 9 00:2c:257 0 0\n",
  "/proc/41/fdinfo/3": "pos:\t0\nlock:\t1: OFDLCK ADVISORY  WRITE -1 00:2c:257 0 0\n",
  "/proc/41/fdinfo/4": "pos:\t0\nmnt_id:\t61\n",
  "/proc/7/fdinfo/5": "pos:\t0\nlock:\t1: OFDLCK ADVISORY  WRITE -1 00:2b:257 0 0\n",
  "/proc/7/comm": "keeper\n",
};

Deno.test("findLocalHolder() finds the holder of a file on a subvolume, whose status shows another device", () => {
  const { sys } = new TextFiles(PROC, SUBVOLUME);
  assert.deepEqual(findLocalHolder(sys, "/images/a", SUBVOLUME), {
    kind: "process",
    pid: 7,
    command: "keeper",
  });
});

Deno.test("findLocalHolder() goes by the file's own device when the path names another file by now", () => {
  const { sys } = new TextFiles(PROC, { ...SUBVOLUME, inodeLow: 258 });
  assert.deepEqual(findLocalHolder(sys, "/images/a", SUBVOLUME), { kind: "absent" });
});

Deno.test("findLocalHolder() names the newest of several processes with copies of the descriptor", () => {
  const copies = { ...PROC, "/proc/90/fdinfo/5": PROC["/proc/7/fdinfo/5"], "/proc/90/comm": "copy\n" };
  const { sys } = new TextFiles(copies, SUBVOLUME);
  assert.deepEqual(findLocalHolder(sys, "/images/a", SUBVOLUME), {
    kind: "process",
    pid: 90,
    command: "copy",
  });
});

Deno.test("findLocalHolder() opens the file itself without reading it, and of others only /proc", () => {
  const files = new TextFiles(PROC, SUBVOLUME);
  findLocalHolder(files.sys, "/images/a", SUBVOLUME);
  assert.deepEqual(files.opened.filter((path) => !path.startsWith("/proc/")), ["/images/a"]);
});
