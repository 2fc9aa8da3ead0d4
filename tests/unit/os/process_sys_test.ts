import assert from "node:assert/strict";
import { O_CLOEXEC } from "../../../src/os/constants.ts";
import type { SpawnOptions } from "../../../src/os/sys.ts";
import { kernel } from "../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../support/open_descriptors.ts";

const SIGTERM = 15;
const SIGUSR1 = 10;

/** Runs a shell script to its end. @returns its wait status and what it wrote */
function run(script: string, options: Partial<SpawnOptions> = {}): { status: number; output: string } {
  const pipe = kernel.pipe();
  assert.ok(typeof pipe !== "number");
  const [output, input] = pipe;
  const nothing = kernel.open("/dev/null", 2, 0);
  const pid = kernel.spawn({
    path: "/bin/sh",
    argv: ["sh", "-c", script],
    env: ["PATH=/usr/bin:/bin", "GREETING=hello world"],
    descriptors: [nothing, input, input],
    blockedSignals: [],
    newSession: false,
    ...options,
  });
  kernel.close(input);
  kernel.close(nothing);
  assert.ok(pid > 0, `${pid}`);
  const status = new Int32Array(1);
  assert.equal(kernel.waitChild(pid, true, status), pid);
  const bytes = new Uint8Array(65536);
  const length = Math.max(0, kernel.read(output, bytes));
  kernel.close(output);
  return { status: status[0] ?? -1, output: new TextDecoder().decode(bytes.subarray(0, length)) };
}

Deno.test("ProcessSys spawn() gives the child its arguments and environment", () => {
  const before = openDescriptors();
  assert.deepEqual(run('echo "$0 $GREETING $HOME."; exit 3'), {
    status: 3 << 8,
    output: "sh hello world .\n",
  });
  assert.deepEqual(openedSince(before), []);
});

Deno.test("ProcessSys spawn() gives the child no descriptor that is close-on-exec", () => {
  const kept = kernel.open("/dev/zero", O_CLOEXEC, 0);
  assert.equal(run(`[ -e /proc/self/fd/${kept} ]; echo $?`).output, "1\n");
  kernel.close(kept);
});

Deno.test("ProcessSys spawn() places descriptors whatever their numbers are", () => {
  const before = openDescriptors();
  const [one, two] = [kernel.open("/dev/null", 2, 0), kernel.open("/dev/zero", 2, 0)];
  // Number 3 becomes 4 and 4 becomes 3, if they are those: no copy may overwrite one that is still to be
  // made.
  const nothing = kernel.open("/dev/null", 2, 0);
  const script = "[ $(readlink /proc/self/fd/3) = /dev/zero ] && [ $(readlink /proc/self/fd/4) = /dev/null ]";
  assert.equal(run(script, { descriptors: [nothing, nothing, nothing, two, one] }).status, 0);
  for (const fd of [one, two, nothing]) kernel.close(fd);
  assert.deepEqual(openedSince(before), []);
});

Deno.test("ProcessSys spawn() sets the signal mask, and every disposition to its default", () => {
  const mask = (script: string, blockedSignals: number[]) => {
    const { output } = run(script, { blockedSignals });
    return BigInt(`0x${output.trim()}`);
  };
  const blocked = "while read key value; do [ $key = SigBlk: ] && echo $value; done < /proc/self/status";
  const ignored = "while read key value; do [ $key = SigIgn: ] && echo $value; done < /proc/self/status";
  assert.equal(mask(blocked, [SIGUSR1, SIGTERM]), 1n << 9n | 1n << 14n);
  assert.equal(mask(blocked, []), 0n);
  // The runtime ignores SIGPIPE.
  assert.equal(mask(ignored, []), 0n);
});

Deno.test("ProcessSys spawn() starts a session when asked", () => {
  const script =
    "read pid comm state parent group session rest < /proc/self/stat; [ $pid = $session ]; echo $?";
  assert.equal(run(script, { newSession: true }).output, "0\n");
  assert.equal(run(script).output, "1\n");
});

Deno.test("ProcessSys spawn() gives -errno for what cannot be started", () => {
  const before = openDescriptors();
  const options = { argv: ["x"], env: [], descriptors: [0, 1, 2], blockedSignals: [], newSession: false };
  assert.equal(kernel.spawn({ ...options, path: "/nowhere" }), -2);
  assert.equal(kernel.spawn({ ...options, path: "/etc/passwd" }), -13);
  assert.equal(kernel.spawn({ ...options, path: "/bin/sh", descriptors: [1 << 20] }), -9);
  assert.deepEqual(openedSince(before), []);
});

Deno.test("ProcessSys pidfds signal a process and tell of its end", () => {
  const pid = kernel.spawn({
    path: "/bin/sleep",
    argv: ["sleep", "1000"],
    env: [],
    descriptors: [0, 1, 2],
    blockedSignals: [],
    newSession: false,
  });
  const pidfd = kernel.pidfdOpen(pid);
  const status = new Int32Array(1);
  assert.equal(kernel.pollReadable(pidfd, 0), 0);
  assert.equal(kernel.waitChild(pid, false, status), 0);
  assert.equal(kernel.pidfdSignal(pidfd, 0), 0);
  assert.equal(kernel.pidfdSignal(pidfd, SIGTERM), 0);
  assert.equal(kernel.pollReadable(pidfd, 10_000), 1);
  assert.equal(kernel.waitChild(pid, false, status), pid);
  assert.equal(status[0], SIGTERM);
  assert.equal(kernel.pidfdSignal(pidfd, SIGTERM), -3);
  assert.equal(kernel.pidfdOpen(pid), -3);
  assert.equal(kernel.waitChild(pid, false, status), -10);
  kernel.close(pidfd);
});

Deno.test("ProcessSys execve() returns when it fails", () => {
  assert.equal(kernel.execve("/nowhere", ["x"], []), -2);
  assert.equal(kernel.execve("/etc/passwd", ["x"], []), -13);
});

Deno.test("ProcessSys knows users and groups, and those without a name by their number", () => {
  assert.equal(kernel.userName(0), "root");
  assert.equal(kernel.groupName(0), "root");
  assert.equal(kernel.userName(4_000_000_000), "4000000000");
  assert.deepEqual(["root", "0", "4711", "nobody-has-this-group"].map(kernel.groupId), [0, 0, 4711, -2]);
});

Deno.test("ProcessSys fileLimit() is what the shell says", () => {
  const limit = kernel.fileLimit();
  assert.ok(typeof limit !== "number");
  assert.equal(run("ulimit -Sn; ulimit -Hn").output, `${limit[0]}\n${limit[1]}\n`);
});

const LINUX = new URL("../../../src/os/linux.ts", import.meta.url).href;
/** Prints what came of it, the ids of every thread, and the groups. */
const BECOME = `
import { linuxSys } from "${LINUX}";
const result = linuxSys().becomeUser(65534, 65533);
const ids = new Set();
let groups = "";
for (const { name } of Deno.readDirSync("/proc/self/task")) {
  const status = Deno.readTextFileSync("/proc/self/task/" + name + "/status");
  ids.add(/^Uid:.*/m.exec(status)[0] + " " + /^Gid:.*/m.exec(status)[0]);
  groups = /^Groups:.*/m.exec(status)[0].trim();
}
console.log(JSON.stringify({ result, ids: [...ids], groups }));
`;

Deno.test("ProcessSys becomeUser() makes every thread that user's, in the user's own groups, or refuses", async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-config", BECOME],
    stderr: "inherit",
  });
  const said: { result: number; ids: string[]; groups: string } = JSON.parse(
    new TextDecoder().decode((await child.output()).stdout),
  );
  if (Deno.uid() === 0) {
    assert.deepEqual(said, {
      result: 0,
      ids: ["Uid:\t65534\t65534\t65534\t65534 Gid:\t65533\t65533\t65533\t65533"],
      groups: "Groups:\t65534",
    });
  } else {
    assert.equal(said.result, -1);
    assert.deepEqual(said.ids.length, 1);
  }
});
