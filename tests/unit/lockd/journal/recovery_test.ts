import assert from "node:assert/strict";
import { JournalState } from "../../../../src/lockd/journal/journal_state.ts";
import type { Operation } from "../../../../src/lockd/journal/operations.ts";
import type { Recovered } from "../../../../src/lockd/journal/recovered.ts";
import { recover, type RecoveryParts } from "../../../../src/lockd/journal/recovery.ts";
import { handedDescriptor, reasonOf } from "../../../../src/lockd/lockspace/lock_record.ts";
import { F_UNLCK, F_WRLCK } from "../../../../src/os/constants.ts";
import { EAGAIN, ENOENT, ENOPROTOOPT, ESRCH } from "../../../../src/os/errno.ts";
import { slotName } from "../../../../src/lockd/journal/descriptor_names.ts";
import type { SlotKind } from "../../../../src/lockd/journal/slots.ts";
import { bytesOf } from "../../chassis/journal/recording_memory.ts";
import { grant, owner } from "./journal_fixture.ts";

/**
 * A kernel with files, processes and sockets of the test's choice, that notes what is done to descriptors.
 */
class World {
  /** Start times of living processes. */
  readonly processes = new Map<number, number>();
  /** Files by path; locked by somebody else or not. */
  readonly files = new Map<string, "free" | "locked">();
  /** Descriptors whose lock somebody else has got. */
  readonly taken = new Set<number>();
  /** What the kernel tells of descriptors (proc_pid_fdinfo(5)). */
  readonly infos = new Map<number, string>();
  /** Pids of the peers of sockets. */
  readonly peers = new Map<number, number>();
  readonly done: string[] = [];
  pidfds = true;
  #nextFd = 100;
  readonly #reading = new Map<number, string>();

  readonly sys: RecoveryParts["sys"] = {
    open: (path) => {
      const [, pid] = /^\/proc\/(\d+)\/stat$/.exec(path) ?? [];
      const [, described] = /^\/proc\/self\/fdinfo\/(\d+)$/.exec(path) ?? [];
      if (described !== undefined && !this.infos.has(Number(described))) return -ENOENT;
      const fd = this.#nextFd++;
      if (described !== undefined) {
        this.#reading.set(fd, this.infos.get(Number(described)) ?? "");
        return fd;
      }
      if (pid === undefined) {
        const file = this.files.get(path);
        if (file === undefined) return -ENOENT;
        if (file === "locked") this.taken.add(fd);
        return fd;
      }
      const start = this.processes.get(Number(pid));
      if (start === undefined) return -ENOENT;
      this.#reading.set(fd, `${pid} (guest) S 1 1 1 0 -1 0${" 0".repeat(12)} ${start} 0`);
      return fd;
    },
    read: (fd, into) => new TextEncoder().encodeInto(this.#reading.get(fd) ?? "", into).written,
    close: (fd) => {
      if (!this.#reading.delete(fd)) this.done.push(`close ${fd}`);
      return 0;
    },
    ofdLock: (fd, type) => {
      if (type === F_UNLCK) this.done.push(`unlock ${fd}`);
      return type === F_WRLCK && this.taken.has(fd) ? -EAGAIN : 0;
    },
    fcntl: () => 0,
    readlink: (path) => `/found${path.slice(path.lastIndexOf("/"))}`,
    peerCredentials: (fd, into) => {
      into.pid = this.peers.get(fd) ?? 0;
      return this.peers.has(fd) ? 0 : -ENOENT;
    },
    peerPidfd: (fd) => {
      if (!this.pidfds) return -ENOPROTOOPT;
      return this.processes.has(this.peers.get(fd) ?? 0) ? this.#nextFd++ : -ESRCH;
    },
    pidfdOpen: (pid) => this.processes.has(pid) ? this.#nextFd++ : -ESRCH,
  };

  recover(operations: readonly Operation[], parts: Partial<RecoveryParts> = {}): Recovered {
    const state = new JournalState();
    for (const operation of operations) state.apply(operation);
    return recover({
      sys: this.sys,
      state,
      inFlight: { inputs: state.bytes.inputs, outputs: state.bytes.outputs },
      descriptors: [],
      damaged: false,
      mayHang: () => false,
      now: 99,
      ...parts,
    });
  }
}

/** As a journal has it whose daemon had no store. */
function notStored(operation: Operation): Operation {
  if (operation.op !== "grant") return operation;
  const { slot: _, ...rest } = operation;
  return rest;
}

const CLIENT: Operation = { op: "client", key: 2, pid: 7, uid: 0, gid: 0, since: 5, slot: 0 };
const REGISTERED: Operation = { op: "owner", key: 2, owner: owner(7) };

/** Number of a lock, what it is held by, and how it is. */
function told({ record: { id, state }, handle }: Recovered["locks"][number]) {
  return [id, handle.kind, handedDescriptor(handle), state.kind];
}

function name(kind: SlotKind, index: number): string {
  return slotName({ kind, index });
}

function messages({ findings }: Recovered): string[] {
  return findings.map(({ level, message }) => `${level}: ${message}`);
}

Deno.test("recover() believes what the kernel shows of a lock, and does not ask storage that may not answer", () => {
  const world = new World();
  const info = (type: string) =>
    `pos:\t0\nflags:\t0100002\nlock:\t1: OFDLCK ADVISORY  ${type} -1 00:2b:17 0 0\n`;
  world.infos.set(10, info("WRITE")).set(11, info("READ "));
  // Asking would fail, for both.
  world.taken.add(10).add(11);
  const { locks, findings } = world.recover([grant(1), grant(2)], {
    descriptors: [{ fd: 10, name: name("lock", 1) }, { fd: 11, name: name("lock", 2) }],
  });
  assert.deepEqual(locks.map(told), [[1, "file", 10, "held"], [2, "none", -1, "lost"]]);
  assert.equal(findings.length, 1);
});

Deno.test("recover() matches descriptors by name, whatever their order", () => {
  const world = new World();
  world.peers.set(12, 7).set(13, 8);
  world.processes.set(7, 1007).set(8, 1);
  const admin: Operation = { op: "client", key: 7, pid: 8, uid: 0, gid: 0, since: 6, slot: 0 };
  const { locks, clients, unwanted, findings } = world.recover([grant(1), grant(2), CLIENT, admin], {
    descriptors: [
      { fd: 13, name: name("admin client", 0) },
      { fd: 10, name: name("lock", 2) },
      { fd: 14, name: "virtlockd.socket" },
      { fd: 12, name: name("lock client", 0) },
      { fd: 11, name: name("lock", 1) },
      { fd: 15, name: "journal" },
    ],
  });
  assert.deepEqual(locks.map(told), [[1, "file", 11, "held"], [2, "file", 10, "held"]]);
  assert.deepEqual(clients.map(({ record, fd }) => [record.key, fd]), [[2, 12], [7, 13]]);
  assert.deepEqual([unwanted, findings], [[], []]);
  assert.deepEqual(world.done, []);
});

Deno.test("recover() undoes a lock that nobody was told of", () => {
  const world = new World();
  const { locks, unwanted } = world.recover([grant(1)], {
    descriptors: [{ fd: 11, name: name("lock", 1) }, { fd: 12, name: name("lock", 5) }],
  });
  assert.deepEqual(locks.map(({ record }) => record.id), [1]);
  assert.deepEqual(unwanted, [name("lock", 5)]);
  assert.deepEqual(world.done, ["unlock 12", "close 12"]);
});

Deno.test("recover() keeps such a lock when the journal is damaged, and says so", () => {
  const world = new World();
  const recovered = world.recover([], { descriptors: [{ fd: 12, name: name("lock", 5) }], damaged: true });
  assert.deepEqual(recovered.locks.map(told), [[1, "file", 12, "doubtful"]]);
  const { path, state } = recovered.locks[0]?.record ?? assert.fail();
  assert.equal(path, "/found/12");
  assert.match(reasonOf(state) ?? "", /the journal is damaged/);
  assert.match(messages(recovered)[0] ?? "", /^error: Lock on \/found\/12: the journal is damaged/);
  assert.deepEqual(world.done, []);
});

for (const damaged of [true, false]) {
  const what = damaged
    ? "keeps it for guests that a damaged journal may not name"
    : "has the guests it names";
  Deno.test(`recover() of a lock that is shared ${what}`, () => {
    const world = new World();
    // The process that is recorded has ended.
    const recovered = world.recover([grant(1, 8, { shared: true }), grant(2, 8)], {
      descriptors: [{ fd: 11, name: name("lock", 1) }, { fd: 12, name: name("lock", 2) }],
      damaged,
    });
    assert.deepEqual(
      recovered.locks.map(({ record: { holdings } }) => holdings.map(({ owner }) => owner.name)),
      [damaged ? ["guest-8", "unknown"] : ["guest-8"], ["guest-8"]],
    );
    assert.deepEqual(
      messages(recovered).filter((text) => text.startsWith("error")),
      damaged
        ? [
          "error: The lock on 'r1' of domain 'guest-8' (uuid 6ba7b810-9dad-41d1-80b4-000000000001, pid 8): " +
          "the journal is damaged and does not say who else shares it; it is kept for them until somebody releases it",
        ]
        : [],
    );
  });
}

Deno.test("recover() closes the second descriptor of a name", () => {
  const world = new World();
  world.recover([grant(1)], {
    descriptors: [{ fd: 11, name: name("lock", 1) }, { fd: 12, name: name("lock", 1) }],
  });
  assert.deepEqual(world.done, ["close 12"]);
});

Deno.test("recover() keeps a lock whose kernel lock somebody else has got, names the domain, and doubts", () => {
  const world = new World();
  world.taken.add(11);
  const recovered = world.recover([grant(1)], { descriptors: [{ fd: 11, name: name("lock", 1) }] });
  const reason =
    "its kernel lock was missing after a crash and could not be taken again: Resource temporarily unavailable";
  assert.deepEqual(recovered.locks[0]?.record.state, { kind: "lost", reason });
  // What is stored is not locked, and must not be taken for what is taken again later.
  assert.deepEqual([world.done, recovered.unwanted, recovered.slots], [["close 11"], [name("lock", 1)], []]);
  assert.deepEqual(messages(recovered), [
    "error: The lock on 'r1' of domain 'guest-7' (uuid 6ba7b810-9dad-41d1-80b4-000000000001, pid 7) is in doubt: " +
    reason,
  ]);
});

Deno.test("recover() says that a POSIX lock of libvirt's daemon was free for a moment", () => {
  const world = new World();
  world.processes.set(7, 1007);
  const posix: Operation = grant(1, 7, { lock: "posix" });
  const recovered = world.recover([posix], { descriptors: [{ fd: 11, name: name("lock", 1) }] });
  assert.deepEqual(recovered.locks[0]?.record.state, { kind: "held" });
  assert.match(
    messages(recovered)[0] ?? "",
    /^warn: .*was libvirt's own and ended with the daemon: it is taken again/,
  );
});

Deno.test("recover() does not use a number of the journal again", () => {
  const world = new World();
  const { nextResource, nextClient } = world.recover(
    [{ op: "snapshot", turn: 1, reply: 1, nextResource: 4, nextClient: [9, 2] }, grant(20)],
    { descriptors: [{ fd: 11, name: name("lock", 30) }, { fd: 12, name: name("admin client", 39) }] },
  );
  assert.deepEqual([nextResource, nextClient], [21, [9, 3]]);
});

Deno.test("recover() takes a client that was stored but not recorded", () => {
  const world = new World();
  world.peers.set(12, 7);
  const { clients } = world.recover([], { descriptors: [{ fd: 12, name: name("lock client", 2) }] });
  assert.deepEqual(clients.map(({ record, pidfd }) => [record.key, record.pid, record.since, pidfd]), [[
    2,
    7,
    99,
    -1,
  ]]);
});

Deno.test("recover() gives a client the bytes that were under way", () => {
  const world = new World();
  world.peers.set(12, 7);
  const { clients } = world.recover([
    CLIENT,
    { op: "input", key: 2, bytes: bytesOf(1, 2), dropped: 3, turn: 1 },
    { op: "output", key: 2, bytes: bytesOf(3), reply: 1, turn: 0, end: 0 },
  ], { descriptors: [{ fd: 12, name: name("lock client", 0) }] });
  assert.deepEqual(clients[0]?.input, { bytes: new Uint8Array([1, 2]), dropped: 3 });
  assert.deepEqual(clients[0]?.output, new Uint8Array([3]));
});

Deno.test("recover() does not take a socket for a client whose process it is not connected to", () => {
  const world = new World();
  world.peers.set(12, 8);
  const { clients, unwanted } = world.recover([CLIENT], {
    descriptors: [{ fd: 12, name: name("lock client", 0) }],
  });
  assert.deepEqual(clients, []);
  assert.deepEqual(unwanted, [name("lock client", 0)]);
});

Deno.test("recover() without SO_PEERPIDFD tells a process from a later one of its pid by its start time", () => {
  const world = new World();
  world.pidfds = false;
  world.peers.set(12, 7);
  world.processes.set(7, 555);
  const { clients, gone } = world.recover([CLIENT, REGISTERED, grant(1)], {
    descriptors: [{ fd: 12, name: name("lock client", 0) }, { fd: 11, name: name("lock", 1) }],
  });
  assert.deepEqual([clients, gone], [[], [{ key: 7, pid: 7 }]]);
});

Deno.test("recover() watches every owner that lives, with a connection or without, and releases a dead one's locks", () => {
  const world = new World();
  world.processes.set(7, 1007);
  const stored = { descriptors: [1, 2].map((slot) => ({ fd: 10 + slot, name: name("lock", slot) })) };
  const { watched, gone, locks } = world.recover([grant(1, 7), grant(2, 8)], stored);
  assert.deepEqual(watched.map(({ key, pid, start }) => [key, pid, start]), [[7, 7, 1007]]);
  assert.deepEqual(gone, [{ key: 8, pid: 8 }]);
  // Both are held: that of the dead one until it is released as any other.
  assert.deepEqual(locks.map(({ record }) => record.id), [1, 2]);
});

Deno.test("recover() keeps and reports what an owner has whose process cannot be judged", () => {
  const world = new World();
  const nobody = { ...owner(0), start: 0 };
  const inside = { ...owner(1), start: 0, namespace: "4026532500" };
  world.processes.set(1, 3);
  world.files.set("/leases/r1", "free").set("/leases/r2", "free");
  const recovered = world.recover([
    notStored(grant(1, 0, { holdings: [{ owner: nobody, since: 5 }] })),
    notStored(grant(2, 1, { holdings: [{ owner: inside, since: 5 }] })),
  ]);
  assert.deepEqual([recovered.gone, recovered.watched], [[], []]);
  assert.deepEqual(recovered.locks.map(({ record }) => record.id), [1, 2]);
  assert.deepEqual(messages(recovered).slice(2), [
    "warn: The lock on 'r1' of domain 'guest-0' (uuid 6ba7b810-9dad-41d1-80b4-000000000001, pid 0) is kept: nothing tells " +
    "whether its process still runs; virtlockd release frees it",
    "warn: The lock on 'r2' of domain 'guest-1' (uuid 6ba7b810-9dad-41d1-80b4-000000000001, pid 1) is kept: nothing tells " +
    "whether its process still runs; virtlockd release frees it",
  ]);
});

Deno.test("recover() finds the process of an owner of another pid namespace by what the daemon calls it", () => {
  const world = new World();
  world.processes.set(30838, 9).set(1, 4);
  const inside = { ...owner(1), start: 9, namespace: "4026532500", hostPid: 30838 };
  const gone = { ...inside, pid: 2, hostPid: 30839 };
  world.files.set("/leases/r1", "free").set("/leases/r2", "free");
  const recovered = world.recover([
    grant(1, 1, { holdings: [{ owner: inside, since: 5 }] }),
    grant(2, 2, { holdings: [{ owner: gone, since: 5 }] }),
  ]);
  assert.deepEqual(recovered.watched.map(({ key, pid, start }) => [key, pid, start]), [[
    "4026532500/1",
    30838,
    9,
  ]]);
  assert.deepEqual(recovered.gone, [{ key: "4026532500/2", pid: 30839 }]);
});

Deno.test("recover() does not take a lock of libvirt's daemon again whose owner is dead", () => {
  const world = new World();
  const recovered = world.recover([grant(1, 7, { lock: "posix" })], {
    descriptors: [{ fd: 11, name: name("lock", 1) }],
  });
  assert.deepEqual(recovered.locks, []);
  assert.deepEqual(recovered.unwanted, [name("lock", 1)]);
  assert.deepEqual(recovered.findings.map(({ level, message }) => [level, message.slice(0, 22)]), [
    ["info", "The lock on 'r1' of do"],
  ]);
});

Deno.test("recover() goes on with a holder that is being ended, through its stored pidfd", () => {
  const world = new World();
  const dying = { op: "dying", pid: 7, key: 7, since: 3, killed: true, slot: 0 } as const;
  const { dying: found, gone } = world.recover([dying, { ...dying, pid: 8, key: 8, slot: 1 }], {
    descriptors: [{ fd: 12, name: name("dying holder", 0) }],
  });
  assert.deepEqual(found, [{ key: 7, pid: 7, pidfd: 12, since: 3, killed: true }]);
  assert.deepEqual(gone, [{ key: 8, pid: 8 }]);
});

Deno.test("recover() forgets a stored pidfd that nothing was recorded of", () => {
  const world = new World();
  const { unwanted } = world.recover([], { descriptors: [{ fd: 12, name: name("dying holder", 0) }] });
  assert.deepEqual(unwanted, [name("dying holder", 0)]);
  assert.deepEqual(world.done, ["close 12"]);
});

Deno.test("recover() without a store takes the locks of living owners again where nobody has them", () => {
  const world = new World();
  world.processes.set(7, 1007);
  world.files.set("/leases/r1", "free").set("/leases/r2", "locked");
  const recovered = world.recover([grant(1), grant(2), grant(3)].map(notStored));
  assert.deepEqual(recovered.locks.map(({ record: { id, state } }) => [id, state]), [
    [1, { kind: "held" }],
    [2, { kind: "lost", reason: "somebody else holds it now" }],
    // Whoever asks for it is told whose it is, as long as its guest runs.
    [3, { kind: "lost", reason: "Unable to open resource /leases/r3: No such file or directory" }],
  ]);
  const who = "of domain 'guest-7' (uuid 6ba7b810-9dad-41d1-80b4-000000000001, pid 7)";
  assert.deepEqual(messages(recovered), [
    `warn: The lock on 'r1' ${who} ended with the daemon: it is taken again, but was free for a while`,
    `error: The lock on 'r2' ${who}: it was lost with the daemon and could not be taken again: ` +
    `somebody else holds it now; its guest runs unprotected`,
    `error: The lock on 'r3' ${who} is lost, its guest runs unprotected: No such file or directory`,
  ]);
  assert.deepEqual(recovered.gone, []);
});

Deno.test("recover() says first that locks were stored and have not come back, and of which guests", () => {
  const world = new World();
  world.processes.set(7, 1007);
  world.files.set("/leases/r1", "free").set("/leases/r2", "free").set("/leases/r3", "free");
  const recovered = world.recover([grant(1, 7), grant(2, 7), grant(3, 8)]);
  assert.deepEqual(recovered.locks.map(({ record }) => record.id), [1, 2, 3]);
  assert.deepEqual(recovered.slots, []);
  assert.deepEqual(recovered.findings.map(({ level }) => level), ["error", "warn", "warn", "info"]);
  assert.match(
    recovered.findings[0]?.message ?? "",
    /^systemd no longer had what the last daemon gave it to keep: 2 locks of 'guest-7'\. Its store was emptied/,
  );
});

Deno.test("recover() without a store releases what dead owners had, also when their pid lives again", () => {
  const world = new World();
  world.processes.set(7, 4);
  world.files.set("/leases/r1", "free").set("/leases/r2", "locked");
  const recovered = world.recover([grant(1, 7), grant(2, 8)]);
  // Taken, so that the file is removed as in any release.
  assert.deepEqual(recovered.locks.map(({ record }) => record.id), [1]);
  assert.deepEqual(recovered.gone, [{ key: 7, pid: 7 }, { key: 8, pid: 8 }]);
  assert.deepEqual(recovered.findings.map(({ level }) => level), ["info", "info"]);
});

Deno.test("recover() touches nothing on storage that may hang: what was held there is awaited, also for a holder that is gone", () => {
  const world = new World();
  world.processes.set(7, 1007);
  // Neither file is in this world: to open one would be refused.
  world.files.set("/dev/null", "free");
  const recovered = world.recover([grant(1, 7), grant(2, 8)], {
    mayHang: (path) => path.startsWith("/leases/"),
  });
  const state = {
    kind: "awaited",
    reason: "it ended with the last daemon, and its storage has not given it back yet",
  };
  // The second one's holder is gone, but what it wrote last may not have landed.
  assert.deepEqual(recovered.locks.map(({ record, handle }) => [record.id, record.state, handle.kind]), [
    [1, state, "none"],
    [2, state, "none"],
  ]);
  assert.deepEqual(recovered.gone.map(({ key }) => key), [8]);
});
