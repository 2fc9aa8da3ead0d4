import assert from "node:assert/strict";
import { daemonRuns } from "../../../../../src/lockd/cli/checks/daemon_runs.ts";
import type { Obstacle } from "../../../../../src/chassis/cli/admin_link.ts";
import { SOCK_STREAM } from "../../../../../src/os/constants.ts";
import { kernel } from "../../../../support/kernel.ts";
import { answering, FakeHost, findings, found, patientOf, type Tree } from "./check_fixture.ts";

const status = (name: string, uid: number, state = "S (sleeping)") =>
  `Name:\t${name}\nState:\t${state}\nPid:\t1\nUid:\t${uid}\t0\t0\t0\n`;
const namespaces = (pid: number, id: number) => ({
  [`/proc/${pid}/ns/pid`]: { link: `pid:[${id}]` },
  [`/proc/${pid}/ns/user`]: { link: "user:[1]" },
});

Deno.test("daemonRuns is content with the installed version", async () => {
  assert.deepEqual(await found(daemonRuns, { "/run/virtlockd.pid": "77" }, answering()), [
    "ok: Version 1.0.0 answers, process 77",
  ]);
  assert.deepEqual(await found(daemonRuns, {}, answering()), ["ok: Version 1.0.0 answers, process 77"]);
});

Deno.test("daemonRuns says when none answers, another version, or libvirt's", async () => {
  assert.deepEqual(await found(daemonRuns, {}), ["problem: No daemon is running"]);
  assert.deepEqual(await found(daemonRuns, {}, answering([], { version: "0.9.0" })), [
    "warning: Version 0.9.0 runs, version 1.0.0 is installed",
  ]);
  assert.deepEqual(await found(daemonRuns, {}, { kind: "foreign", reason: "It is libvirt's" }), [
    "warning: It is libvirt's",
  ]);
});

Deno.test("daemonRuns finds that the PID file names another process", async () => {
  assert.deepEqual(await found(daemonRuns, { "/run/virtlockd.pid": "78" }, answering()), [
    "warning: The PID file /run/virtlockd.pid names process 78, but process 77 answers",
  ]);
});

Deno.test("daemonRuns finds another virtlockd of the same user, but no command and none in a container", async () => {
  const tree = {
    "/proc/77/status": status("virtlockd", 0),
    ...namespaces(77, 1),
    "/proc/78/status": status("virtlockd", 0),
    "/proc/78/cmdline": "/usr/sbin/virtlockd\0-d\0",
    ...namespaces(78, 1),
    "/proc/79/status": status("virtlockd", 1000),
    ...namespaces(79, 1),
    "/proc/80/status": status("virtlockd", 0),
    "/proc/80/cmdline": "virtlockd\0locks\0--watch\0",
    ...namespaces(80, 1),
    "/proc/81/status": status("virtlockd", 0),
    ...namespaces(81, 2),
    "/proc/82/status": status("libvirtd", 0),
    ...namespaces(82, 1),
    "/proc/83/status": status("virtlockd", 0),
    "/proc/83/cmdline": "virtlockd\0internal-storage\0/srv\0",
    ...namespaces(83, 1),
    "/proc/84/status": status("virtlockd", 0),
    ...namespaces(84, 1),
    // It sees another directory where the daemon has its sockets.
    "/proc/77/root/run/libvirt/": "",
    "/proc/78/root": { link: "../77/root" },
    "/proc/84/root/run/libvirt/": "",
  };
  assert.deepEqual(await found(daemonRuns, tree, answering()), [
    "ok: Version 1.0.0 answers, process 77",
    "warning: Another virtlockd runs, process 78",
  ]);
});

/** What to do when the daemon cannot be asked; its process, 77, is in this state. */
async function advice(obstacle: Obstacle, state?: string): Promise<string> {
  const tree = state === undefined
    ? { "/run/virtlockd.pid": "77" }
    : { "/run/virtlockd.pid": "77\n", "/proc/77/status": status("virtlockd", 0, state) };
  const [finding] = await findings(daemonRuns, tree, { kind: "unreachable", obstacle, reason: "Why" });
  return finding?.advice ?? "";
}

Deno.test("daemonRuns says to start a daemon only where none runs", async () => {
  assert.match(await advice("absent"), /^Start it: virtlockd -d;/);
  assert.match(
    await advice("absent", "S (sleeping)"),
    /^Process 77 is a virtlockd and may hold locks: start no/,
  );
  assert.match(await advice("absent", "Z (zombie)"), /^Start it: /);
  assert.match(await advice("silent"), /^No daemon runs, though its socket is there: it does not start\. /);
  assert.match(await advice("closed"), /^It does not start, or has just ended\. /);
  assert.match(await advice("denied"), /^Ask as the user whose daemon it is/);
  assert.match(await advice("odd"), /^See which program has this socket/);
});

Deno.test("daemonRuns tells a daemon whose start hangs, and a socket for commands that is not there", async () => {
  const advised = async (obstacle: Obstacle, tree: Tree) => {
    const [finding] = await findings(daemonRuns, tree, { kind: "unreachable", obstacle, reason: "Why" });
    return finding?.advice ?? "";
  };
  const starting = (state: string) => advised("silent", { "/proc/77/status": status("virtlockd", 0, state) });
  assert.match(
    await starting("D (disk sleep)"),
    /^Process 77 has begun to start and does not come to its end: cat \/proc\/77\/stack .*most likely its configuration/,
  );
  assert.match(await starting("T (stopped)"), /^Process 77 has begun to start .*: kill -CONT 77/);
  assert.match(
    await advised("absent", { "/run/systemd/system/": "" }),
    /^Start it: systemctl start virtlockd\.socket virtlockd-admin\.socket;/,
  );
  using fake = new FakeHost({ "/run/systemd/system/": "", "/run/libvirt/": "" });
  const asked = async () => {
    const daemon = { kind: "unreachable", obstacle: "absent", reason: "Why" } as const;
    const [finding] = await daemonRuns.run(patientOf(fake.host, daemon));
    return finding?.advice;
  };
  const path = `${fake.root}/run/libvirt/virtlockd-sock`;
  const listener = Deno.listen({ transport: "unix", path });
  const connected = listener.accept().then(() => true, () => false);
  assert.equal(
    await asked(),
    "Guests can start it, but nobody listens for commands: systemctl start virtlockd-admin.socket",
  );
  listener.close();
  // Nobody was connected to find that out.
  assert.equal(await connected, false);
  const left = kernel.socket(SOCK_STREAM, false);
  assert.equal(kernel.bind(left, path), 0);
  kernel.close(left);
  assert.match(
    await asked() ?? "",
    /^No guest can start it either, .*: systemctl restart virtlockd\.socket /,
  );
});

Deno.test("daemonRuns tells an ordinary user nothing that only root can do", async () => {
  const systemd = { "/run/systemd/system/": "" };
  const running = { ...systemd, "/run/virtlockd.pid": "77\n", "/proc/77/status": status("virtlockd", 1000) };
  const seen = async (obstacle: Obstacle, tree: Tree) => {
    const daemon = { kind: "unreachable", obstacle, reason: "Why" } as const;
    const [finding] = await findings(daemonRuns, tree, daemon, {}, 1000);
    assert.ok(!finding?.advice?.includes("systemctl"));
    return `${finding?.level}: ${finding?.advice}`;
  };
  assert.match(
    await seen("absent", systemd),
    /^warning: Nothing, if no guest of qemu:\/\/\/session runs: your libvirtd starts it/,
  );
  assert.match(await seen("absent", running), /^problem: Process 77 is a virtlockd and may hold locks/);
  assert.match(await seen("closed", systemd), /Run it in the foreground, which tells the reason: virtlockd$/);
  assert.match(await seen("silent", systemd), /Run it in the foreground, which tells the reason: virtlockd$/);
  assert.match(await seen("silent", running), /^problem: Process 77 runs .*: shut your guests down before/);
  const [old] = await findings(daemonRuns, systemd, answering([], { version: "0.9.0" }), {}, 1000);
  assert.equal(old?.advice, "Execute the installed one; no lock is lost: virtlockd reload");
});

Deno.test("daemonRuns says what helps a daemon that hangs, and never to stop it", async () => {
  assert.match(await advice("silent", "T (stopped)"), /^Process 77 was stopped by .* kill -CONT 77$/);
  assert.match(await advice("silent", "t (tracing stop)"), /kill -CONT 77$/);
  assert.match(
    await advice("silent", "D (disk sleep)"),
    /^Process 77 waits in the kernel, .*\/proc\/77\/stack/,
  );
  assert.match(
    await advice("silent", "R (running)"),
    /^Process 77 runs .* so do not stop it\..*--signal=KILL/,
  );
});
