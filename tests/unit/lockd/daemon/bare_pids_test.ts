import assert from "node:assert/strict";
import { type BarePidParts, watchBarePids } from "../../../../src/lockd/daemon/bare_pids.ts";
import type { Owner, OwnerKey } from "../../../../src/lockd/lockspace/owner.ts";
import { ownerKey } from "../../../../src/lockd/lockspace/owner.ts";
import { SystemError } from "../../../../src/os/system_error.ts";
import { resource } from "../programs/lock_fixture.ts";

const LIBVIRTD = 83;
const SOCKET = "/run/libvirt/virtlockd-sock";
const OWN_MOUNTS = "27 1 254:0 / / rw - ext4 /dev/vda rw\n28 27 0:24 / /run rw - tmpfs tmpfs rw\n";

/** What a daemon that has just taken over finds. */
class World {
  uid = 0;
  /** Names of processes. */
  readonly commands: Record<string, string> = { "1": "systemd", "83": "libvirtd" };
  /** The mounts that processes see, where they are not the daemon's own. */
  readonly mounts: Record<string, string> = {};
  /** Processes outside of the initial pid namespace. */
  readonly contained = new Set<number>();
  /** Processes that have ended. */
  readonly gone = new Set<number>();
  /** Processes that cannot be watched for want of something. */
  readonly unwatchable = new Set<number>();
  readonly watched = new Set<OwnerKey>();
  readable = true;
  readonly #owners: Owner[];

  constructor(...owners: Partial<Owner>[]) {
    const uuid = "11111111-2222-3333-4444-555555555555";
    this.#owners = owners.map((owner) => ({ name: "guest", uuid, id: 1, pid: 100, ...owner }));
  }

  judge(): { dead: readonly (number | string)[]; unjudged: readonly (number | string)[] } {
    const { dead, unjudged } = watchBarePids(this.#parts());
    return { dead: dead.map(({ key }) => key), unjudged: unjudged.map(ownerKey) };
  }

  #parts(): BarePidParts {
    const files = new Map<number, string>();
    return {
      sys: {
        uid: () => this.uid,
        listDirectory: () => this.readable ? [...Object.keys(this.commands), "cpuinfo"] : -13,
        open: (path) => {
          const [, pid = "", name = ""] = /^\/proc\/(\w+)\/(\w+)$/.exec(path) ?? [];
          const text = name === "mountinfo" ? this.mounts[pid] ?? OWN_MOUNTS : this.commands[pid];
          if (text === undefined) return -2;
          files.set(files.size + 3, text);
          return files.size + 2;
        },
        read: (fd, into) => new TextEncoder().encodeInto(files.get(fd) ?? "", into).written,
        pread: (fd, into, position) =>
          new TextEncoder().encodeInto((files.get(fd) ?? "").slice(position), into).written,
        close: () => 0,
      },
      table: { resources: () => this.#resources() },
      watch: {
        begin: (owner) => {
          if (this.unwatchable.has(owner.pid)) return new SystemError("pidfd_open", "process", 24);
          if (this.gone.has(owner.pid)) return new SystemError("pidfd_open", "process", 3);
          if (owner.pid > 0 && owner.namespace === undefined) this.watched.add(ownerKey(owner));
          return undefined;
        },
        processOf: (key) => this.watched.has(key) ? { key, pid: Number(key), start: 1, pidfd: 9 } : undefined,
      },
      namespaces: { isInitial: (pid) => !this.contained.has(pid) },
      lockServer: { listeners: [{ path: SOCKET }] },
    };
  }

  *#resources(): ReturnType<BarePidParts["table"]["resources"]> {
    let id = 1;
    for (const owner of this.#owners) {
      yield resource({ id: id++, holdings: [{ owner, since: 0 }] });
    }
  }
}

Deno.test("bare pids of libvirt's daemon in the initial namespace are dead when no process has them", () => {
  const world = new World({ pid: 100 }, { pid: 101 }, { pid: 100 });
  world.gone.add(101);
  assert.deepEqual(world.judge(), { dead: [101], unjudged: [] });
  assert.deepEqual([...world.watched], [100]);
});

Deno.test("owners that are watched already, and none at all, need no judgement", () => {
  const world = new World({ pid: 100 });
  world.watched.add(100);
  world.readable = false;
  assert.deepEqual(world.judge(), { dead: [], unjudged: [] });
  assert.deepEqual(new World().judge(), { dead: [], unjudged: [] });
});

Deno.test("who has no process of the daemon's namespace, or cannot be watched, is not judged", () => {
  const world = new World({ pid: 0 }, { pid: 5, namespace: "4026532500" }, { pid: 102 });
  world.unwatchable.add(102);
  assert.deepEqual(world.judge(), {
    dead: [],
    unjudged: ["/0/11111111-2222-3333-4444-555555555555", "4026532500/5", 102],
  });
});

const NOT_TOLD: Record<string, (world: World) => void> = {
  "libvirt's daemon is in a container": (world) => world.contained.add(LIBVIRTD),
  "one of libvirt's daemons is in a container": (world) => {
    world.commands["84"] = "virtqemud";
    world.contained.add(84);
  },
  "no daemon of libvirt's runs": (world) => delete world.commands["83"],
  "nobody can list the processes": (world) => world.readable = false,
  "the daemon is a session's": (world) => world.uid = 1000,
};

for (const [when, prepare] of Object.entries(NOT_TOLD)) {
  Deno.test(`bare pids are not judged when ${when}`, () => {
    const world = new World({ pid: 101 });
    world.gone.add(101);
    prepare(world);
    assert.deepEqual(world.judge(), { dead: [], unjudged: [101] });
  });
}

Deno.test("a daemon of libvirt's that cannot reach this one's socket says nothing about its clients", () => {
  const world = new World({ pid: 101 });
  world.gone.add(101);
  world.commands["84"] = "virtqemud";
  world.contained.add(84);
  world.mounts["84"] = "50 49 0:77 / / rw - overlay overlay rw\n51 50 0:78 / /run rw - tmpfs tmpfs rw\n";
  assert.deepEqual(world.judge(), { dead: [101], unjudged: [] });
});
