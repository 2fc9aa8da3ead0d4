import assert from "node:assert/strict";
import { daemonRuns } from "../../../../../src/lockd/cli/checks/daemon_runs.ts";
import { answering, found } from "./check_fixture.ts";

const status = (name: string, uid: number) => `Name:\t${name}\nPid:\t1\nUid:\t${uid}\t0\t0\t0\n`;
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
  };
  assert.deepEqual(await found(daemonRuns, tree, answering()), [
    "ok: Version 1.0.0 answers, process 77",
    "warning: Another virtlockd runs, process 78",
  ]);
});
