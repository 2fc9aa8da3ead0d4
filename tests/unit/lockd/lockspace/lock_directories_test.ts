import assert from "node:assert/strict";
import { LockDirectories } from "../../../../src/lockd/lockspace/lock_directories.ts";
import type { FileIdentity } from "../../../../src/lockd/lockspace/file_identity.ts";
import type { DirectoryFailure } from "../../../../src/lockd/lockspace/file_failure.ts";
import type { Lockspace } from "../../../../src/lockd/lockspace/lockspace.ts";
import {
  type AllowedDirectory,
  type Place,
  type Places,
  samePlace,
} from "../../../../src/lockd/lockspace/places.ts";
import type { Done, Refusal } from "../../../../src/lockd/lockspace/refusal.ts";
import type { Resource } from "../../../../src/lockd/lockspace/resource.ts";

const LOCAL: Place = { source: "/dev/sda1", type: "ext4", point: "/", device: 1 };
const OTHER_LOCAL: Place = { source: "/dev/sdb1", type: "ext4", point: "/locks", device: 2 };
const NFS: Place = { source: "nas:/locks", type: "nfs4", point: "/locks", device: 50 };
const OTHER_NFS: Place = { source: "nas2:/locks", type: "nfs4", point: "/locks", device: 51 };

/** Directories on file systems that the test mounts, and what becomes of asking for them. */
class World implements Places {
  generation = {};
  #place: Place | undefined = LOCAL;
  readonly mounted = new Set<Place>([LOCAL]);
  readonly allowed = new Map<string, AllowedDirectory>();
  readonly events: string[] = [];
  failure: DirectoryFailure | undefined;
  readonly directories = new LockDirectories({
    files: {
      makeDirectory: (path, done) => {
        this.events.push(`make ${path}`);
        if (this.failure?.kind !== "unfit") done(this.failure);
      },
      checkDirectory: (path, done) => {
        this.events.push(`check ${path}`);
        done(this.failure);
      },
    },
    observer: {
      lockspaceCreated: (path) => this.events.push(`created ${path}`),
      lockspacePlaced: ({ path, origin, place }) =>
        this.events.push(`${path} is ${origin} on ${place?.source ?? "something"}`),
    },
    places: this,
    allowed: (path) => this.allowed.get(path),
  });

  /** From now on every directory is on this file system. */
  set place(place: Place | undefined) {
    this.generation = {};
    this.#place = place;
    if (place !== undefined) this.mounted.add(place);
  }

  /** Where directories turn out to be when that is looked at, though nobody was told of it. */
  unnoticed: Place | undefined;

  refresh(): void {
    if (this.unnoticed !== undefined) this.place = this.unnoticed;
  }

  placeOf(): Place | undefined {
    return this.#place;
  }

  isMounted(place: Place): boolean {
    return this.mounted.has(place);
  }

  isShared({ type }: Place): boolean {
    return type === "nfs4";
  }

  /** A lockspace that was registered on a file system. */
  registered(place: Place | undefined): Lockspace {
    this.place = place;
    assert.equal(answer((done) => this.directories.make("/locks/a", done)), undefined);
    this.events.length = 0;
    return this.directories.get("/locks/a") ?? assert.fail("there is no such lockspace");
  }
}

/** What is answered at once; "nothing" when it is not. */
function answer(ask: (done: Done) => void): Refusal | undefined | "nothing" {
  let answered: Refusal | undefined | "nothing" = "nothing";
  ask((refusal) => answered = refusal);
  return answered;
}

Deno.test("samePlace() goes by source and type, and where the source says nothing by the device", () => {
  assert.equal(samePlace(NFS, { ...NFS, point: "/mnt", device: 99 }), true);
  assert.equal(samePlace(NFS, OTHER_NFS), false);
  assert.equal(samePlace(NFS, { ...NFS, type: "nfs" }), false);
  const tmpfs = { source: "tmpfs", type: "tmpfs", point: "/a", device: 30 };
  assert.equal(samePlace(tmpfs, { ...tmpfs, point: "/b" }), true);
  assert.equal(samePlace(tmpfs, { ...tmpfs, device: 31 }), false);
});

Deno.test("make() registers a directory with its file system, and nothing when it cannot be made", () => {
  const world = new World();
  const failure = { kind: "system", action: "mkdir", errno: 30 } as const;
  world.failure = failure;
  assert.deepEqual(answer((done) => world.directories.make("/locks/a", done)), failure);
  assert.equal(world.directories.get("/locks/a"), undefined);
  world.failure = undefined;
  assert.equal(answer((done) => world.directories.make("/locks/a", done)), undefined);
  assert.deepEqual(world.events, [
    "make /locks/a",
    "make /locks/a",
    "created /locks/a",
    "/locks/a is registered on /dev/sda1",
  ]);
  assert.deepEqual([...world.directories.all.keys()], ["", "/locks/a"]);
});

Deno.test("remake() makes a directory again, in its old place only", () => {
  const world = new World();
  const lockspace = world.registered(NFS);
  assert.equal(answer((done) => world.directories.remake(lockspace, done)), undefined);
  assert.deepEqual(world.events, ["make /locks/a"]);
  world.mounted.delete(NFS);
  world.place = LOCAL;
  assert.deepEqual(answer((done) => world.directories.remake(lockspace, done)), {
    kind: "misplaced",
    path: "/locks/a",
    wanted: NFS,
    found: LOCAL,
  });
  assert.deepEqual(world.events, ["make /locks/a"]);
  world.place = { ...NFS, device: 77 };
  assert.equal(answer((done) => world.directories.remake(lockspace, done)), undefined);
});

Deno.test("remake() does not fail because storage does not answer just now", () => {
  const world = new World();
  const lockspace = world.registered(NFS);
  world.failure = { kind: "storage", action: "mkdir", reason: "slow" };
  assert.equal(answer((done) => world.directories.remake(lockspace, done)), undefined);
  const failure = { kind: "not-a-directory", path: "/locks/a" } as const;
  world.failure = failure;
  assert.deepEqual(answer((done) => world.directories.remake(lockspace, done)), failure);
});

const MOVES: [what: string, from: Place, to: Place, stillMounted: boolean, allowed: boolean][] = [
  ["a file system of the network that is not mounted", NFS, LOCAL, false, false],
  ["a file system of the network that is mounted elsewhere now", NFS, LOCAL, true, false],
  ["a local file system that is not mounted", OTHER_LOCAL, LOCAL, false, false],
  ["a directory on which a local file system was mounted", LOCAL, OTHER_LOCAL, true, true],
  ["a directory on which one of the network was mounted", LOCAL, NFS, true, true],
  ["one of the network in the place of another", NFS, OTHER_NFS, false, true],
];
for (const [what, from, to, stillMounted, allowed] of MOVES) {
  Deno.test(`misplaced() ${allowed ? "accepts" : "refuses"} ${what}`, () => {
    const world = new World();
    const lockspace = world.registered(from);
    assert.equal(world.directories.misplaced(lockspace), undefined);
    if (!stillMounted) world.mounted.delete(from);
    world.place = to;
    const refusal = { kind: "misplaced", path: "/locks/a", wanted: from, found: to };
    assert.deepEqual(world.directories.misplaced(lockspace), allowed ? undefined : refusal);
    assert.deepEqual(world.events, allowed ? [`/locks/a is registered on ${to.source}`] : []);
  });
}

Deno.test("misplaced() accepts no other file system while something is locked on the old one", () => {
  const world = new World();
  const lockspace = world.registered(LOCAL);
  lockspace.resources.set("r", { name: "r" } as Resource);
  world.place = NFS;
  assert.deepEqual(world.directories.misplaced(lockspace), {
    kind: "misplaced",
    path: "/locks/a",
    wanted: LOCAL,
    found: NFS,
  });
});

Deno.test("misplaced() goes by the settings where they say what has to be mounted", () => {
  const world = new World();
  const lockspace = world.registered(LOCAL);
  world.allowed.set("/locks/a", { source: "nas:/locks" });
  world.generation = {};
  assert.deepEqual(world.directories.misplaced(lockspace), {
    kind: "misplaced",
    path: "/locks/a",
    wanted: { source: "nas:/locks" },
    found: LOCAL,
  });
  world.mounted.delete(LOCAL);
  world.place = NFS;
  assert.equal(world.directories.misplaced(lockspace), undefined);
  assert.deepEqual(world.events, ["/locks/a is registered on nas:/locks"]);
});

Deno.test("misplaced() believes in an automatic mount that is not mounted just now", () => {
  const world = new World();
  const lockspace = world.registered(NFS);
  world.place = undefined;
  assert.equal(world.directories.misplaced(lockspace), undefined);
  assert.equal(world.directories.misplaced(world.directories.get("") as Lockspace), undefined);
});

Deno.test("misplaced() learns the place of a lockspace of which none is known", () => {
  const world = new World();
  const lockspace = world.directories.restore("/locks/b");
  assert.equal(world.directories.misplaced(lockspace), undefined);
  assert.deepEqual(lockspace.place, LOCAL);
  assert.deepEqual(world.events, ["/locks/b is registered on /dev/sda1"]);
});

Deno.test("adopt() takes a safe directory, in which no file is made", () => {
  const world = new World();
  assert.equal(answer((done) => world.directories.adopt("/leases", done)), undefined);
  assert.deepEqual(world.events, ["check /leases", "created /leases", "/leases is adopted on /dev/sda1"]);
  const lockspace = world.directories.get("/leases") ?? assert.fail("there is no such lockspace");
  const adopted = { kind: "adopted", path: "/leases", resource: "r" };
  assert.deepEqual(world.directories.notToBeMade(lockspace, "r"), adopted);
  assert.equal(world.directories.makesFile(lockspace, true), false);
  assert.equal(world.directories.makesFile(lockspace, false), false);
});

Deno.test("adopt() refuses what is not there or not safe, and says why", () => {
  const world = new World();
  const missing = { kind: "lockspace-missing", path: "/leases" };
  world.failure = { kind: "system", action: "Unable to look at /leases", errno: 2 };
  assert.deepEqual(answer((done) => world.directories.adopt("/leases", done)), missing);
  world.failure = { kind: "unfit", reason: "others may write it" };
  assert.deepEqual(answer((done) => world.directories.adopt("/leases", done)), {
    ...missing,
    reason: "others may write it",
  });
  for (const path of ["leases", "/a\0b"]) {
    assert.deepEqual(answer((done) => world.directories.adopt(path, done)), {
      kind: "lockspace-missing",
      path,
    });
  }
  assert.deepEqual([...world.directories.all.keys()], [""]);
});

Deno.test("adopt() refuses a directory on another file system than the settings say, without touching it", () => {
  const world = new World();
  world.allowed.set("/leases", { source: "nas:/leases" });
  assert.deepEqual(answer((done) => world.directories.adopt("/leases", done)), {
    kind: "misplaced",
    path: "/leases",
    wanted: { source: "nas:/leases" },
    found: LOCAL,
  });
  assert.deepEqual(world.events, []);
});

Deno.test("adopt() looks at a directory each time, and takes it no more when it is not safe any more", () => {
  const world = new World();
  assert.equal(answer((done) => world.directories.adopt("/leases", done)), undefined);
  world.failure = { kind: "unfit", reason: "others may write it" };
  assert.deepEqual(answer((done) => world.directories.adopt("/leases", done)), {
    kind: "lockspace-missing",
    path: "/leases",
    reason: "others may write it",
  });
});

Deno.test("the settings are about a directory, however an asker spells its path", () => {
  const world = new World();
  world.allowed.set("/leases/a", { source: "nas:/leases" });
  for (const path of ["/leases/a/", "//leases/a", "/leases/./a"]) {
    assert.equal((answer((done) => world.directories.adopt(path, done)) as Refusal).kind, "misplaced");
    assert.equal((answer((done) => world.directories.make(path, done)) as Refusal).kind, "misplaced");
  }
  assert.deepEqual(world.events, []);
});

const [DEVICE, OTHER_DEVICE] = [7, 8].map((devMinor) => ({
  devMajor: 0,
  devMinor,
  inodeLow: 1,
  inodeHigh: 0,
})) as [FileIdentity, FileIdentity];

Deno.test("strayed() looks where a directory is when its files are on another device, and only then", () => {
  const world = new World();
  const lockspace = world.registered(NFS);
  assert.equal(world.directories.strayed(lockspace, DEVICE), undefined);
  world.mounted.delete(NFS);
  world.unnoticed = LOCAL;
  assert.equal(world.directories.strayed(lockspace, DEVICE), undefined);
  const refusal = { kind: "misplaced", path: "/locks/a", wanted: NFS, found: LOCAL };
  assert.deepEqual(world.directories.strayed(lockspace, OTHER_DEVICE), refusal);
  // It stays so, and what was there before is right again.
  assert.deepEqual(world.directories.strayed(lockspace, OTHER_DEVICE), refusal);
  world.unnoticed = NFS;
  assert.equal(world.directories.strayed(lockspace, DEVICE), undefined);
});

Deno.test("strayed() takes the device of the first lock, and of a directory that may move, for right", () => {
  const world = new World();
  const lockspace = world.registered(LOCAL);
  assert.equal(world.directories.strayed(lockspace, OTHER_DEVICE), undefined);
  world.unnoticed = OTHER_LOCAL;
  assert.equal(world.directories.strayed(lockspace, DEVICE), undefined);
  assert.equal(world.directories.strayed(world.directories.get("") as Lockspace, OTHER_DEVICE), undefined);
});

Deno.test("a directory that is adopted is registered when somebody registers it", () => {
  const world = new World();
  answer((done) => world.directories.adopt("/leases", done));
  const lockspace = world.directories.get("/leases") ?? assert.fail("there is no such lockspace");
  assert.equal(answer((done) => world.directories.remake(lockspace, done)), undefined);
  assert.equal(lockspace.origin, "registered");
  assert.equal(world.directories.notToBeMade(lockspace, "r"), undefined);
  assert.deepEqual(world.events.slice(3), ["make /leases", "/leases is registered on /dev/sda1"]);
});

Deno.test("makesFile() makes files on demand in registered directories, and always in those of the settings", () => {
  const world = new World();
  const lockspace = world.registered(LOCAL);
  assert.deepEqual([true, false].map((wanted) => world.directories.makesFile(lockspace, wanted)), [
    true,
    false,
  ]);
  world.allowed.set("/locks/a", { source: undefined });
  assert.equal(world.directories.makesFile(lockspace, false), true);
  lockspace.origin = "adopted";
  assert.equal(world.directories.makesFile(lockspace, false), true);
  assert.equal(world.directories.notToBeMade(lockspace, "r"), undefined);
  const disks = world.directories.get("") as Lockspace;
  assert.deepEqual([true, false].map((wanted) => world.directories.makesFile(disks, wanted)), [true, false]);
});
