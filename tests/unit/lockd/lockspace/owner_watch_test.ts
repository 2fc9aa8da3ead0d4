import assert from "node:assert/strict";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import { type OwnerProcess, OwnerWatch } from "../../../../src/lockd/lockspace/owner_watch.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { ESRCH } from "../../../../src/os/errno.ts";
import { must } from "../../../../src/os/system_error.ts";
import { kernel } from "../../../support/kernel.ts";
import { until } from "../../../support/until.ts";
import { peer } from "../programs/program_fixture.ts";

const UUID = "11111111-2222-3333-4444-555555555555";
/** No process can have it (PID_MAX_LIMIT is 4194304). */
const NO_PROCESS = 1_900_000_000;

function owner(pid: number, namespace?: string) {
  return { pid, id: 1, name: "guest", uuid: UUID, ...(namespace === undefined ? {} : { namespace }) };
}

/** A watch over real processes, which counts what it asks of the kernel. */
class World implements Disposable {
  readonly ended: OwnerProcess[] = [];
  readonly ledger = new DescriptorLedger(kernel);
  readonly loop = new EventLoop(kernel);
  readonly watch: OwnerWatch;
  readonly children: Deno.ChildProcess[] = [];
  calls = 0;
  /** What pidfd_open(2) answers instead. */
  refusal: number | undefined;
  /** What open(2) answers instead. */
  open: number | undefined;

  constructor() {
    const sys = {
      ...kernel,
      open: (path: string, flags: number, mode: number) => this.open ?? kernel.open(path, flags, mode),
      pidfdOpen: (pid: number) => {
        this.calls++;
        return this.refusal ?? kernel.pidfdOpen(pid);
      },
    };
    this.watch = new OwnerWatch({ sys, loop: this.loop, ledger: this.ledger });
    this.watch.onEnd((process) => this.ended.push(process));
  }

  child(): number {
    const child = new Deno.Command("sleep", { args: ["1000"] }).spawn();
    this.children.push(child);
    return child.pid;
  }

  [Symbol.dispose](): void {
    for (const child of this.children) child.kill("SIGKILL");
    for (const { pidfd } of this.watch.processes) this.ledger.close(pidfd);
    this.loop.close();
  }
}

Deno.test("OwnerWatch tells of a process that has ended, once, and closes its pidfd", async () => {
  using world = new World();
  const pid = world.child();
  assert.equal(world.watch.begin(owner(pid)), undefined);
  const process = world.watch.processOf(pid);
  assert.deepEqual([process?.key, process?.pid], [pid, pid]);
  assert.ok((process?.start ?? 0) > 0);
  world.loop.turn(0);
  assert.deepEqual(world.ended, []);
  const child = world.children.pop();
  child?.kill("SIGKILL");
  await child?.status;
  world.loop.turn(1000);
  assert.deepEqual(world.ended, [process]);
  assert.equal(world.watch.processOf(pid), undefined);
  assert.equal(world.ledger.size, 0);
});

Deno.test("OwnerWatch asks the kernel nothing more for an owner that it knows", () => {
  using world = new World();
  const pid = world.child();
  const [first, second] = [owner(pid), owner(NO_PROCESS)];
  for (let time = 0; time < 3; time++) {
    assert.equal(world.watch.begin(first), undefined);
    assert.equal(world.watch.begin(second), undefined);
  }
  assert.equal(world.calls, 1);
  assert.equal(world.watch.processOf(NO_PROCESS), undefined);
});

Deno.test("OwnerWatch says of an owner whose process has ended that it has, each time", async () => {
  using world = new World();
  const pid = world.child();
  const child = world.children.pop();
  child?.kill("SIGKILL");
  await child?.status;
  const ended = owner(pid);
  for (let time = 0; time < 2; time++) assert.equal(world.watch.begin(ended)?.errno, 3);
  assert.equal(world.watch.processOf(pid), undefined);
});

Deno.test("OwnerWatch opens no pid that may be meant in another namespace", () => {
  using world = new World();
  const pid = world.child();
  const uncertain = owner(pid);
  world.watch.leaveUnwatched(uncertain);
  for (const each of [uncertain, owner(pid, "4026532500"), owner(0), owner(0xffff_ffff)]) {
    assert.equal(world.watch.begin(each), undefined);
  }
  assert.equal(world.calls, 0);
  assert.deepEqual([...world.watch.processes], []);
});

Deno.test("OwnerWatch watches an owner of another namespace through its own connection", () => {
  using world = new World();
  const pid = world.child();
  const pidfd = must(kernel.pidfdOpen(pid), "pidfd_open", "child");
  const inside = { ...owner(1, "4026532500"), hostPid: pid };
  const connection = peer({ pid, pidfd });
  world.watch.connected(inside, connection);
  // Whoever asks, it is the same owner.
  assert.equal(world.watch.begin(owner(1, "4026532500")), undefined);
  assert.equal(world.watch.processOf("4026532500/1")?.pid, pid);
  assert.deepEqual([...world.watch.connections("4026532500/1")], [connection]);
  world.watch.disconnected(inside, connection);
  assert.deepEqual([...world.watch.connections("4026532500/1")], []);
  assert.equal(world.watch.processOf("4026532500/1")?.pid, pid);
  kernel.close(pidfd);
});

Deno.test("OwnerWatch counts a process among the guests from when it has registered itself, before it asks for anything", () => {
  using world = new World();
  const [pid, other] = [world.child(), world.child()];
  const pidfd = must(kernel.pidfdOpen(pid), "pidfd_open", "child");
  const connection = peer({ pid, pidfd });
  world.watch.connected(owner(pid), connection);
  assert.deepEqual([...world.watch.guests], [pid]);
  assert.deepEqual([...world.watch.processes], []);
  assert.equal(world.watch.begin(owner(pid)), undefined);
  assert.equal(world.watch.begin(owner(other)), undefined);
  assert.deepEqual([...world.watch.guests], [pid, other]);
  world.watch.disconnected(owner(pid), connection);
  assert.deepEqual([...world.watch.guests], [pid, other]);
  // It was gone when its connection was accepted.
  world.watch.connected(owner(4_194_303), peer({ pid: 4_194_303, pidfd: -1 }));
  assert.deepEqual([...world.watch.guests], [pid, other]);
  kernel.close(pidfd);
});

Deno.test("OwnerWatch says why a process cannot be watched that may be there", () => {
  using world = new World();
  world.refusal = -24;
  assert.match(world.watch.begin(owner(4_194_303))?.message ?? "", /^pidfd_open process 4194303: Too many/);
});

Deno.test("OwnerWatch takes a process for ended whose number a thread has by now", () => {
  using world = new World();
  // EINVAL, and ENOENT of later kernels.
  for (const refusal of [-22, -2]) {
    world.refusal = refusal;
    assert.equal(world.watch.begin(owner(4_194_303))?.errno, ESRCH);
  }
});

Deno.test("OwnerWatch takes a process for ended that nobody has waited for", async () => {
  using world = new World();
  // The child ends when the shell has become a program that waits for nobody.
  const parent = new Deno.Command("sh", {
    args: ["-c", "exec 3<&0; sh -c 'read line' <&3 & echo $!; exec sleep 1000 3<&- </dev/null"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  world.children.push(parent);
  const { value } = await parent.stdout.getReader().read();
  const pid = Number(new TextDecoder().decode(value));
  const program = () => Deno.readTextFileSync(`/proc/${parent.pid}/comm`).trim();
  await until("the shell to become another program", () => program() === "sleep");
  await parent.stdin.close();
  const state = () => Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]?.[0];
  await until("the child to end", () => state() === "Z");
  assert.equal(world.watch.begin(owner(pid))?.errno, ESRCH);
  assert.deepEqual([...world.watch.processes], []);
});

Deno.test("OwnerWatch grants nothing to a process whose start time cannot be read", () => {
  using world = new World();
  const pid = world.child();
  world.open = -23;
  assert.match(world.watch.begin(owner(pid))?.message ?? "", /^read \/proc\/\d+\/stat: Too many open files/);
  assert.deepEqual([...world.watch.processes], []);
  // Where /proc hides it, it is watched all the same.
  for (const hidden of [-1, -13]) {
    const other = world.child();
    world.open = hidden;
    assert.equal(world.watch.begin(owner(other)), undefined);
    assert.equal(world.watch.processOf(other)?.start, 0);
  }
  world.open = undefined;
  assert.equal(world.watch.begin(owner(pid)), undefined);
  assert.ok((world.watch.processOf(pid)?.start ?? 0) > 0);
});

Deno.test("OwnerWatch grants nothing over a connection whose process was gone when it was accepted", () => {
  using world = new World();
  world.watch.connected(owner(4_194_303), peer({ pid: 4_194_303, pidfd: -1 }));
  assert.equal(world.watch.begin(owner(4_194_303))?.errno, ESRCH);
});

Deno.test("OwnerWatch markOf() tells a process again, and says when nothing does", () => {
  using world = new World();
  const pid = world.child();
  const { start } = world.watch.markOf(owner(pid));
  assert.ok(start > 0);
  world.watch.begin(owner(pid));
  assert.equal(world.watch.markOf(owner(pid)).start, start);
  assert.deepEqual(world.watch.markOf({ ...owner(1, "4026532500"), hostPid: pid }).pid, pid);
  assert.equal(world.watch.markOf({ ...owner(1, "4026532500"), hostPid: pid }).start, start);
  assert.equal(world.watch.markOf(owner(1, "4026532500")).start, 0);
  assert.equal(world.watch.markOf(owner(NO_PROCESS)).start, 0);
});

Deno.test("OwnerWatch resume() goes on with the pidfd of an earlier life", async () => {
  using world = new World();
  const pid = world.child();
  const pidfd = must(kernel.pidfdOpen(pid), "pidfd_open", "child");
  world.watch.resume({ key: pid, pid, start: 7, pidfd });
  assert.deepEqual([...world.watch.processes], [{ key: pid, pid, start: 7, pidfd }]);
  const child = world.children.pop();
  child?.kill("SIGKILL");
  await child?.status;
  world.loop.turn(1000);
  assert.deepEqual(world.ended.map(({ key }) => key), [pid]);
});
