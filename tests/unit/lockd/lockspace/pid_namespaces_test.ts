import assert from "node:assert/strict";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import { PidNamespaces } from "../../../../src/lockd/lockspace/pid_namespaces.ts";
import { EIO, EMFILE, ENOENT } from "../../../../src/os/errno.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { must } from "../../../../src/os/system_error.ts";
import { kernel } from "../../../support/kernel.ts";
import { peer } from "../programs/program_fixture.ts";

const FILE = 70;
const NAMED = { pid: 57, id: 1, name: "guest", uuid: "11111111-2222-3333-4444-555555555555" };

/** A /proc of the test's choice. */
class World implements Disposable {
  /** NSpid by pid. */
  readonly spaces = new Map<number, string>();
  readonly links = new Map<string, string>([["/proc/self", "900"]]);
  readonly read: string[] = [];
  /** What open(2) answers instead. */
  refusal: number | undefined;
  /** What readlink(2) answers instead. */
  unreadable: number | undefined;
  readonly closed: number[] = [];
  readonly ledger = new DescriptorLedger({ close: (fd) => this.closed.push(fd) });
  readonly loop = new EventLoop(kernel);
  readonly namespaces: PidNamespaces;
  #next = "";

  constructor() {
    const sys = {
      ...kernel,
      pid: () => 900,
      open: (path: string) => {
        this.read.push(path);
        if (this.refusal !== undefined) return this.refusal;
        const spaces = this.spaces.get(Number(/^\/proc\/(\d+)\/status$/.exec(path)?.[1]));
        this.#next = `Name:\tqemu\nNSpid:\t${spaces}\nThreads:\t1\n`;
        return spaces === undefined ? -ENOENT : FILE;
      },
      read: (_fd: number, into: Uint8Array) => new TextEncoder().encodeInto(this.#next, into).written,
      close: () => 0,
      readlink: (path: string) => this.unreadable ?? this.links.get(path) ?? -ENOENT,
    };
    this.namespaces = new PidNamespaces({ sys, loop: this.loop, ledger: this.ledger });
  }

  [Symbol.dispose](): void {
    for (const [fd] of [...this.ledger.entries()]) kernel.close(fd);
    this.loop.close();
  }
}

Deno.test("PidNamespaces takes a pid as it is from a process of the daemon's own namespace", () => {
  using world = new World();
  world.spaces.set(30, "30").set(57, "57");
  assert.deepEqual(world.namespaces.register(peer({ pid: 30 }), NAMED), { owner: NAMED, uncertain: false });
  assert.deepEqual(world.namespaces.register(peer({ pid: 57 }), NAMED), { owner: NAMED, uncertain: false });
});

Deno.test("PidNamespaces tells that a connected process of another namespace is the owner itself", () => {
  using world = new World();
  world.spaces.set(30838, "30838\t57").set(30700, "30700\t3");
  for (const pid of [30838, 30700]) world.links.set(`/proc/${pid}/ns/pid`, "pid:[4026532500]");
  const namespace = "4026532500";
  assert.deepEqual(world.namespaces.register(peer({ pid: 30838 }), NAMED), {
    owner: { ...NAMED, namespace, hostPid: 30838 },
    uncertain: false,
  });
  assert.deepEqual(world.namespaces.register(peer({ pid: 30700 }), NAMED), {
    owner: { ...NAMED, namespace },
    uncertain: true,
  });
});

Deno.test("PidNamespaces guesses nothing of a process that it cannot see", () => {
  using world = new World();
  const outside = { owner: { ...NAMED, namespace: "?" }, uncertain: true };
  assert.deepEqual(world.namespaces.register(peer({ pid: 0 }), NAMED), outside);
  assert.deepEqual(world.namespaces.register(peer({ pid: 30 }), NAMED), { owner: NAMED, uncertain: true });
  assert.deepEqual(world.namespaces.register(peer({ pid: 57 }), NAMED), { owner: NAMED, uncertain: false });
  // It may not look behind that one's namespace.
  world.spaces.set(31, "31 4");
  assert.deepEqual(world.namespaces.register(peer({ pid: 31 }), NAMED), outside);
});

Deno.test("PidNamespaces registers nobody while the kernel does not tell, and guesses nothing", () => {
  using world = new World();
  world.spaces.set(30, "30");
  world.refusal = -EMFILE;
  assert.throws(() => world.namespaces.register(peer({ pid: 30 }), NAMED), {
    message: "read /proc/30/status: Too many open files (EMFILE)",
  });
  world.links.set("/proc/self/ns/pid", "pid:[4026531836]");
  assert.ok(!world.namespaces.isInitial(30));
  world.refusal = undefined;
  const other = new World();
  other.spaces.set(30, "30");
  other.unreadable = -EIO;
  assert.throws(() => other.namespaces.register(peer({ pid: 30 }), NAMED), {
    message: "read /proc/30/status: Input/output error (EIO)",
  });
  other.unreadable = undefined;
  assert.deepEqual(other.namespaces.register(peer({ pid: 30 }), NAMED), { owner: NAMED, uncertain: false });
  other[Symbol.dispose]();
  assert.deepEqual(world.namespaces.register(peer({ pid: 30 }), NAMED), { owner: NAMED, uncertain: false });
});

Deno.test("PidNamespaces reads nothing in a /proc of another pid namespace", () => {
  using world = new World();
  world.links.set("/proc/self", "4");
  world.spaces.set(30, "30");
  assert.deepEqual(world.namespaces.register(peer({ pid: 30 }), NAMED), { owner: NAMED, uncertain: true });
  assert.deepEqual(world.read, []);
});

Deno.test("PidNamespaces looks once at a process that connects again and again, until it ends", async () => {
  using world = new World();
  const child = new Deno.Command("sleep", { args: ["1000"] }).spawn();
  const pidfd = must(kernel.pidfdOpen(child.pid), "pidfd_open", "child");
  world.spaces.set(child.pid, String(child.pid));
  const connection = peer({ pid: child.pid, pidfd });
  for (let time = 0; time < 3; time++) world.namespaces.register(connection, NAMED);
  assert.equal(world.read.length, 1);
  child.kill("SIGKILL");
  await child.status;
  world.loop.turn(1000);
  assert.equal(world.closed.length, 1);
  world.namespaces.register(peer({ pid: child.pid }), NAMED);
  assert.equal(world.read.length, 2);
  kernel.close(pidfd);
});

Deno.test("PidNamespaces isInitial() needs both to be in the initial namespace", () => {
  using world = new World();
  world.spaces.set(30, "30").set(31, "31 2");
  world.links.set("/proc/self/ns/pid", "pid:[4026532500]");
  assert.ok(!world.namespaces.isInitial(30));
  world.links.set("/proc/self/ns/pid", "pid:[4026531836]");
  assert.ok(world.namespaces.isInitial(30));
  assert.ok(!world.namespaces.isInitial(31));
  assert.ok(!world.namespaces.isInitial(32));
});
