import assert from "node:assert/strict";
import { F_RDLCK, F_UNLCK, F_WRLCK, S_IFBLK, S_IFCHR, S_IFREG } from "../../../../src/os/constants.ts";
import type { FileStatus } from "../../../../src/os/sys.ts";
import type { Verdict } from "../../../../src/lockd/lockspace/settler.ts";
import type { Sight } from "../../../../src/lockd/lockspace/written_files.ts";
import type { StorageClient } from "../../../../src/lockd/storage/storage_client.ts";
import { StorageWitness } from "../../../../src/lockd/storage/witness.ts";
import { holding, resource } from "../programs/lock_fixture.ts";

const OVER: Verdict = { kind: "over" };
const BUSY: Verdict = { kind: "busy", reason: "it writes" };
const QEMU: Sight = { qemu: true, files: [] };
/** Of a QEMU that had no disk here, by whatever it could have written. */
const NO_DISK = { kind: "unknown", reason: "no disk of it was seen", disks: "none" } as const;
const WRITER: Sight = { qemu: false, files: [] };

function unknown(reason: string): Verdict {
  return { kind: "unknown", reason };
}

/** A host with one disk, whose kernel and helpers answer what the test says. */
class World {
  readonly calls: string[] = [];
  /** What the disk is. */
  mode = S_IFREG;
  /** Whether somebody has QEMU's lock on it. */
  guarded = false;
  lease = 0;
  probe = 0;
  fstat = 0;
  sight: Sight | undefined;
  guests: number[] = [];
  remote = false;
  /** Whether the lock is held by an open file. */
  held = true;
  /** Verdicts of helpers, in their order. */
  readonly verdicts: (Verdict | "lost")[] = [];
  /** What happens while a helper looks. */
  meanwhile = () => {};

  /** /proc/locks */
  locks = "";
  now = 0;
  readonly #witness: StorageWitness;

  constructor() {
    this.#witness = new StorageWitness({
      sys: {
        ofdProbe: (_fd, _type, start, _length, into) => {
          this.calls.push(`probe ${start}`);
          into.type = this.guarded ? F_RDLCK : F_UNLCK;
          return this.probe;
        },
        fstat: (_fd, into) => this.#status(into),
        stat: (path, into) => path === "/dev/sda" ? this.#status(into) : -2,
        lease: (_fd, type) => {
          this.calls.push(`lease ${type === F_WRLCK ? "write" : "back"}`);
          return type === F_WRLCK ? this.lease : 0;
        },
        // A disk of another host, as far as sysfs tells.
        open: () => 50,
        close: () => 0,
        pread: (_fd, into, position) =>
          new TextEncoder().encodeInto(this.locks.slice(position), into).written,
        readlink: () => "../../devices/platform/host3/session1/block/sda",
        listDirectory: () => -2,
      },
      clientOf: () => this.remote ? this.#client("remote") : undefined,
      clientAt: (path) => path.startsWith("/net/") ? this.#client("remote") : undefined,
      sync: (client, path, done) => client.sync(path, ({ verdict }) => done(verdict)),
      local: this.#client("local"),
      clock: () => this.now,
      sightOf: () => this.sight,
      guests: () => this.guests,
    });
  }

  ask(
    lockspace: string,
    shared = false,
    name = "res",
    autocreate = false,
    unseen: "anybody" | "QEMU" = "anybody",
  ): Verdict | undefined {
    let verdict: Verdict | undefined;
    const locked = resource({ id: 1, lockspace, path: "/dev/sda", shared, name, autocreate });
    if (!this.held) locked.handle = { kind: "none", place: -1 };
    this.#witness.ask(locked, holding(42), (said) => verdict = said, unseen);
    return verdict;
  }

  #status(into: FileStatus): number {
    into.mode = this.mode;
    into.rdevMajor = 8;
    return this.fstat;
  }

  #client(name: string): StorageClient {
    const judge: StorageClient["judge"] = (task, fd, done, lost) => {
      const what = task.op === "judge-guards"
        ? `${task.question.names.join(",")}${task.question.sync ? " and sync" : ""}${
          task.question.others === undefined ? "" : ` and others, for ${task.question.others}`
        }${task.question.devices === true ? ", and all devices" : ""}${
          task.question.guests?.length ? ` beside ${task.question.guests.join(",")}` : ""
        }`
        : "";
      this.calls.push(`${name} ${task.op} ${what}${fd === undefined ? "" : " with the file"}`.trim());
      const verdict = this.verdicts.shift() ?? assert.fail("no verdict");
      this.meanwhile();
      if (verdict === "lost") lost?.("it has ended");
      else done(verdict);
    };
    const sync: StorageClient["sync"] = (path, done) => {
      this.calls.push(`${name} sync ${path}`);
      const verdict = this.verdicts.shift() ?? assert.fail("no verdict");
      assert.ok(verdict !== "lost");
      done({ verdict, denied: false });
    };
    return { judge, sync } as Partial<StorageClient> as StorageClient;
  }
}

Deno.test("StorageWitness needs no helper for the image of a QEMU that has nothing under way", () => {
  const world = new World();
  world.sight = QEMU;
  assert.deepEqual(world.ask(""), OVER);
  assert.deepEqual(world.calls, ["probe 101"]);
});

Deno.test("StorageWitness has a helper look who has QEMU's lock on an image", () => {
  const world = new World();
  world.sight = QEMU;
  world.guarded = true;
  world.verdicts.push(BUSY);
  assert.deepEqual(world.ask(""), BUSY);
  assert.deepEqual(world.calls, ["probe 101", "local judge-guards  with the file"]);
});

const OWNERS: [string, Sight | undefined][] = [["a writer", WRITER], ["somebody unseen", undefined]];

for (const [whose, sight] of OWNERS) {
  Deno.test(`StorageWitness looks once more at the file of ${whose} when QEMU's lock went while a helper looked`, () => {
    const world = new World();
    world.sight = sight;
    world.guarded = true;
    world.verdicts.push(OVER);
    world.meanwhile = () => world.guarded = false;
    assert.deepEqual(world.ask(""), { kind: "busy", reason: "its last writes have not landed yet" });
    world.lease = -11;
    world.verdicts.push({ kind: "unknown", reason: "process 7 (other) has it open", opener: "seen" });
    assert.equal(world.ask("")?.kind, "unknown");
  });
}

for (const [whose, sight] of OWNERS) {
  Deno.test(`StorageWitness does not wait for ever for ${whose} when only other guests have QEMU's lock on its file`, () => {
    const world = new World();
    world.sight = sight;
    world.guarded = true;
    world.guests = [43];
    world.lease = -11;
    const opened = { kind: "unknown", reason: "process 43 (qemu) has it open", opener: "seen" } as const;
    world.verdicts.push(OVER, opened);
    assert.deepEqual(world.ask(""), opened);
    assert.deepEqual(world.calls.slice(-2), ["lease write", "local judge-openers"]);
  });
}

Deno.test("StorageWitness takes an owner that nobody has seen for a QEMU, where it is told to, on whatever its lock is", () => {
  const world = new World();
  world.guarded = true;
  world.guests = [43];
  const ask = () => world.ask("", false, "res", false, "QEMU");
  // A guest that was started anew has its image.
  world.verdicts.push(OVER);
  assert.deepEqual(ask(), OVER);
  world.guarded = false;
  assert.deepEqual(ask(), OVER);
  // The same of a lock that is lost, and of one on the network, when no QEMU that is gone writes anything.
  world.held = false;
  world.verdicts.push(BUSY, OVER);
  assert.deepEqual([ask(), ask()], [BUSY, OVER]);
  world.held = true;
  world.remote = true;
  world.verdicts.push(OVER, BUSY, OVER, OVER);
  assert.deepEqual([ask(), ask()], [BUSY, OVER]);
});

Deno.test("StorageWitness tells a helper of the other guests, whose locks on an image may be all that there are", () => {
  const world = new World();
  world.sight = QEMU;
  world.guarded = true;
  world.guests = [43, 44];
  world.verdicts.push(OVER);
  assert.deepEqual(world.ask(""), OVER);
  world.mode = S_IFBLK;
  world.sight = { qemu: true, files: [{ path: "/dev/sda", guard: "00:05:7" }] };
  world.verdicts.push(OVER, OVER);
  assert.deepEqual(world.ask(""), OVER);
  const guests = "beside 43,44";
  assert.deepEqual(world.calls, [
    "probe 101",
    `local judge-guards  ${guests} with the file`,
    "probe 101",
    `local judge-guards  ${guests} with the file`,
    `local judge-guards 00:05:7 and sync ${guests} with the file`,
  ]);
});

for (const sight of [undefined, WRITER]) {
  Deno.test(`StorageWitness asks for a lease on the file of ${sight === undefined ? "somebody unseen" : "a writer"}`, () => {
    const world = new World();
    world.sight = sight;
    assert.deepEqual(world.ask(""), OVER);
    assert.deepEqual(world.calls, ["probe 101", "lease write", "lease back"]);
  });
}

Deno.test("StorageWitness has a helper look who has a file open of which it gets no lease", () => {
  const world = new World();
  world.sight = WRITER;
  world.lease = -11;
  world.verdicts.push(BUSY);
  assert.deepEqual(world.ask(""), BUSY);
  assert.deepEqual(world.calls, ["probe 101", "lease write", "local judge-openers"]);
});

Deno.test("StorageWitness knows nothing of a writer's file that others share, or of which the kernel gives no lease", () => {
  const world = new World();
  world.sight = WRITER;
  world.lease = -11;
  assert.deepEqual(world.ask("", true), unknown("others have it open too"));
  world.lease = -13;
  assert.deepEqual(world.ask(""), unknown("the kernel does not say who has it open: Permission denied"));
  world.probe = -5;
  assert.deepEqual(world.ask(""), unknown("the lock of its writer cannot be asked for: Input/output error"));
  world.probe = 0;
  world.fstat = -5;
  assert.deepEqual(world.ask(""), unknown("its file cannot be looked at: Input/output error"));
});

Deno.test("StorageWitness finds a guest's lock on its own node of a device, and writes out what is cached", () => {
  const world = new World();
  world.mode = S_IFBLK;
  world.sight = {
    qemu: true,
    files: [{ path: "/dev/sdb", guard: "00:3b:8" }, { path: "/dev/sda", guard: "00:3b:9" }, { path: "/log" }],
  };
  world.verdicts.push(BUSY, OVER);
  assert.deepEqual(world.ask(""), BUSY);
  assert.deepEqual(world.calls, ["probe 101", "local judge-guards 00:3b:9 and sync with the file"]);
  // A device that the guest calls otherwise: then all that it has.
  world.sight = { qemu: true, files: [{ path: "/dev/dm-0", guard: "00:3b:8" }] };
  assert.deepEqual(world.ask(""), OVER);
  assert.equal(world.calls.at(-1), "local judge-guards 00:3b:8 and sync with the file");
});

Deno.test("StorageWitness knows nothing of a device whose guest was not seen with it", () => {
  const world = new World();
  world.mode = S_IFBLK;
  world.verdicts.push(OVER);
  assert.deepEqual(world.ask(""), unknown("what it writes was not seen while it lived"));
  world.sight = { qemu: false, files: [{ path: "/dev/sda" }] };
  assert.deepEqual(world.ask(""), unknown("it had /dev/sda open for writing"));
  world.sight = WRITER;
  assert.deepEqual(world.ask(""), OVER);
  world.mode = S_IFCHR;
  assert.deepEqual(world.ask(""), OVER);
});

Deno.test("StorageWitness lets a disk of a QEMU go that was seen with none when no QEMU that is gone writes anything", () => {
  const world = new World();
  world.mode = S_IFBLK;
  world.sight = QEMU;
  world.verdicts.push(BUSY, unknown("it is hidden"), OVER);
  assert.deepEqual(world.ask(""), BUSY);
  assert.deepEqual(world.ask(""), unknown("it is hidden"));
  assert.deepEqual(world.ask(""), OVER);
  const all = "local judge-guards  and others, for no disk of it was seen, and all devices";
  assert.deepEqual(world.calls.filter((call) => !call.startsWith("probe")), [all, all, all]);
  // A lock directory's file that is made on demand stands for a disk too; a lease may be of one elsewhere.
  world.verdicts.push(OVER, OVER);
  assert.deepEqual(world.ask("/locks", false, "res", true), OVER);
  assert.deepEqual(world.ask("/locks", false, "res", false), NO_DISK);
  // One that nobody has seen may be taken for a QEMU.
  world.sight = undefined;
  world.verdicts.push(OVER, OVER, OVER);
  assert.deepEqual(world.ask("/locks", false, "res", true, "QEMU"), OVER);
  assert.deepEqual(world.ask("", false, "res", false, "QEMU"), OVER);
  assert.deepEqual(
    world.ask("/locks", false, "res", true),
    unknown("what it writes was not seen while it lived"),
  );
});

Deno.test("StorageWitness leaves a file on the network to its helper", () => {
  const world = new World();
  world.remote = true;
  world.sight = QEMU;
  world.verdicts.push(OVER, BUSY, OVER);
  assert.deepEqual(world.ask(""), OVER);
  assert.deepEqual(world.ask(""), BUSY);
  assert.deepEqual(world.calls, Array(2).fill("remote judge-guards  and sync with the file"));
  // That nobody has QEMU's lock says nothing of another writer.
  world.sight = undefined;
  world.verdicts.push(OVER);
  assert.deepEqual(world.ask(""), unknown("what it writes was not seen while it lived"));
  world.sight = { qemu: false, files: [{ path: "/net/a" }] };
  assert.deepEqual(world.ask(""), unknown("it had /net/a open for writing"));
  world.sight = WRITER;
  assert.deepEqual(world.ask(""), OVER);
});

Deno.test("StorageWitness judges a lock on another file by all that its guest writes", () => {
  const world = new World();
  world.mode = S_IFBLK;
  world.sight = {
    qemu: true,
    files: [
      { path: "/images/a", guard: "08:01:5" },
      { path: "/net/b", guard: "00:32:6" },
      { path: "/dev/sda", guard: "00:05:7" },
      { path: "/dev/sdz", guard: "00:05:8" },
    ],
  };
  world.verdicts.push(BUSY, OVER, OVER, OVER);
  assert.deepEqual(world.ask("/leases"), BUSY);
  const all = "local judge-guards 08:01:5,00:32:6,00:05:7,00:05:8";
  assert.deepEqual(world.calls, [all]);
  assert.deepEqual(world.ask("/leases"), OVER);
  assert.deepEqual(world.calls, [all, all, "remote sync /net/b", "local sync /dev/sda"]);
  world.verdicts.push(OVER, unknown("no room"));
  assert.deepEqual(world.ask("/leases"), unknown("no room"));
});

Deno.test("StorageWitness lets a lease go whose owner writes nothing, and knows nothing of one that was not seen", () => {
  const world = new World();
  world.sight = WRITER;
  assert.deepEqual(world.ask("/leases"), OVER);
  assert.deepEqual(world.calls, []);
  world.sight = undefined;
  world.verdicts.push(OVER, unknown("it is hidden"), OVER);
  assert.deepEqual(world.ask("/leases"), unknown("what it writes was not seen while it lived"));
  assert.deepEqual(world.ask("/leases"), unknown("what it writes was not seen while it lived"));
  world.sight = QEMU;
  assert.deepEqual(world.ask("/leases"), NO_DISK);
  // Every QEMU that libvirt starts has this file open: whoever reads the reason looks for a disk.
  const pid = { path: "/run/libvirt/qemu/web.pid" };
  world.sight = { qemu: true, files: [pid] };
  world.verdicts.push(OVER, unknown("it is hidden"), OVER, OVER);
  assert.deepEqual(world.ask("/leases"), NO_DISK);
  // It may have a write under way that the helper has not found, or a disk that it has just got.
  assert.deepEqual(world.ask("/leases"), unknown("no disk of it was seen"));
  world.sight = { qemu: true, files: [pid], partial: true };
  assert.deepEqual(world.ask("/leases"), unknown("no disk of it was seen"));
  world.sight = { qemu: true, files: [pid, { path: "/images/a" }] };
  assert.deepEqual(world.ask("/leases"), unknown("it had /images/a open for writing"));
  world.sight = { qemu: false, files: [{ path: "/images/a" }] };
  assert.deepEqual(world.ask("/leases"), unknown("it had /images/a open for writing"));
});

Deno.test("StorageWitness waits for whatever a QEMU that is gone still writes when its owner was not seen", () => {
  const world = new World();
  world.mode = S_IFBLK;
  for (const lockspace of ["", "/leases"]) {
    world.verdicts.push(BUSY, BUSY);
    world.sight = undefined;
    assert.deepEqual(world.ask(lockspace), BUSY);
    world.sight = QEMU;
    assert.deepEqual(world.ask(lockspace), BUSY);
  }
  const unseen = ["what it writes was not seen while it lived", "no disk of it was seen"];
  const asked = unseen.map((why) => `local judge-guards  and others, for ${why}`);
  assert.deepEqual(
    world.calls.filter((call) => !call.startsWith("probe")),
    [asked[0], `${asked[1]}, and all devices`, ...asked],
  );
});

Deno.test("StorageWitness asks for images that were opened after its last look, unless the lock's own was seen", () => {
  const world = new World();
  const files = [{ path: "/images/a", guard: "08:01:5" }];
  world.sight = { qemu: true, files, partial: true };
  const all = "local judge-guards 08:01:5 and others, for a disk of it was not seen open";
  world.verdicts.push(BUSY, OVER);
  assert.deepEqual(world.ask("/leases"), BUSY);
  assert.deepEqual(world.ask("/leases"), OVER);
  assert.deepEqual(world.calls, [all, all]);
  // sha256("/images/a")
  const hash = "b09bd74bbbbb592b289a2980cde6b7dde31b908eda6ae54c0eb947a039c35f8d";
  world.verdicts.push(OVER);
  assert.deepEqual(world.ask("/leases", false, hash), OVER);
  assert.equal(world.calls.at(-1), "local judge-guards 08:01:5");
  world.mode = S_IFBLK;
  world.verdicts.push(OVER);
  assert.deepEqual(world.ask(""), OVER);
  assert.equal(
    world.calls.at(-1),
    "local judge-guards 08:01:5 and sync and others, for a disk of it was not seen open with the file",
  );
  world.sight = { qemu: true, files: [{ path: "/dev/sda", guard: "00:05:7" }], partial: true };
  world.verdicts.push(OVER);
  assert.deepEqual(world.ask(""), OVER);
  assert.equal(world.calls.at(-1), "local judge-guards 00:05:7 and sync with the file");
  // Without its helper nobody can look for others.
  world.verdicts.push("lost");
  assert.deepEqual(
    world.ask("/leases"),
    unknown("the helper process that looks for its last writes cannot be had"),
  );
});

Deno.test("StorageWitness says of an owner that was not seen, too, that nobody has looked", () => {
  const world = new World();
  const unseen = unknown("what it writes was not seen while it lived");
  world.verdicts.push("lost");
  assert.deepEqual(world.ask("/leases"), unseen);
  world.now = 1;
  assert.deepEqual(world.ask("/leases"), { ...unseen, untried: true });
  world.sight = QEMU;
  assert.deepEqual(
    world.ask("/locks", false, "res", true),
    { ...unknown("the helper process that looks for its last writes cannot be had"), untried: true },
  );
});

Deno.test("StorageWitness waits for the writes to an image whose lock is lost or awaited", () => {
  const world = new World();
  world.held = false;
  world.sight = QEMU;
  assert.deepEqual(world.ask(""), OVER);
  assert.deepEqual(world.calls, []);
  const files = [{ path: "/dev/sda", guard: "00:05:7" }, { path: "/images/a", guard: "08:01:5" }];
  world.sight = { qemu: true, files };
  world.verdicts.push(BUSY, OVER);
  assert.deepEqual(world.ask(""), BUSY);
  assert.deepEqual(world.ask(""), OVER);
  assert.deepEqual(world.calls, Array(2).fill("local judge-guards 00:05:7"));
  world.sight = { qemu: true, files: files.slice(1) };
  world.verdicts.push(BUSY);
  assert.deepEqual(world.ask(""), BUSY);
  assert.equal(world.calls.at(-1), "local judge-guards 08:01:5");
});

Deno.test("StorageWitness does not know what is written to an image whose lock is not held and whose owner was not seen", () => {
  const world = new World();
  world.held = false;
  world.verdicts.push(BUSY, OVER);
  assert.deepEqual(world.ask(""), BUSY);
  assert.deepEqual(world.ask(""), unknown("what it writes was not seen while it lived"));
});

Deno.test("StorageWitness looks at the locks itself while its helper cannot be had, and tries it again later", () => {
  const world = new World();
  world.sight = { qemu: true, files: [{ path: "/images/a", guard: "08:01:5" }] };
  const none = unknown("the helper process that looks for its last writes cannot be had");
  world.locks = "1: OFDLCK ADVISORY  READ -1 08:01:5 100 101\n";
  world.verdicts.push("lost");
  assert.deepEqual(world.ask("/leases"), none);
  // Until it is tried again nobody looks, and nothing is given up for that.
  world.now = 4999;
  assert.deepEqual(world.ask("/leases"), { ...none, untried: true });
  world.locks = "1: OFDLCK ADVISORY  READ -1 08:01:6 100 101\n";
  assert.deepEqual(world.ask("/leases"), OVER);
  assert.equal(world.calls.length, 1);
  world.now = 5000;
  world.verdicts.push(BUSY);
  assert.deepEqual(world.ask("/leases"), BUSY);
  assert.equal(world.calls.length, 2);
  // What is cached of a device that other hosts reach cannot be written out here.
  world.mode = S_IFBLK;
  world.verdicts.push("lost");
  assert.deepEqual(world.ask(""), none);
  // Of an image itself the next look tells.
  world.guarded = true;
  assert.deepEqual(world.ask(""), { ...none, kind: "busy" });
});
