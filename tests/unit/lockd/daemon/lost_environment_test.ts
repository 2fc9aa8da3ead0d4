import assert from "node:assert/strict";
import { lostEnvironment } from "../../../../src/lockd/daemon/lost_environment.ts";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import type { SpawnOptions, Sys } from "../../../../src/os/sys.ts";
import { kernel } from "../../../support/kernel.ts";

const UNIT = "0::/system.slice/virtlockd.service\n";

/** Looks for systemd as a process of that control group, where a shell script answers for systemctl. */
function find(cgroup: string, systemctl: string, uid = 0) {
  const file = Deno.makeTempFileSync();
  Deno.writeTextFileSync(file, cgroup);
  const asked: (readonly string[])[] = [];
  const sys: Sys = {
    ...kernel,
    uid: () => uid,
    access: (path) => path === "/run/systemd/notify" ? 0 : kernel.access(path, 0),
    open: (path, flags, mode) => kernel.open(path === "/proc/self/cgroup" ? file : path, flags, mode),
    spawn: (options: SpawnOptions) => {
      asked.push(options.argv);
      return kernel.spawn({ ...options, path: "/bin/sh", argv: ["sh", "-c", systemctl] });
    },
  };
  const loop = new EventLoop(sys);
  try {
    const found = lostEnvironment({
      sys,
      loop,
      ledger: new DescriptorLedger(sys),
      env: ["PATH=/usr/bin:/bin"],
    });
    return { found, asked };
  } finally {
    loop.close();
    Deno.removeSync(file);
  }
}

Deno.test("lostEnvironment() asks systemd how many descriptors it keeps for the unit of this process", () => {
  assert.deepEqual(find(UNIT, "echo 65536"), {
    found: { NOTIFY_SOCKET: "/run/systemd/notify", VIRTLOCKD_FDSTORE_MAX: "65536" },
    asked: [[
      "/usr/bin/systemctl",
      "show",
      "--value",
      "--property=FileDescriptorStoreMax",
      "virtlockd.service",
    ]],
  });
});

Deno.test("lostEnvironment() finds the unit among the control groups of the old hierarchy", () => {
  const groups = "12:cpu:/\n1:name=systemd:/system.slice/lockd@1.service\n0::/system.slice/lockd@1.service\n";
  assert.equal(find(groups, "echo 1").asked[0]?.at(-1), "lockd@1.service");
});

Deno.test("lostEnvironment() names no number when systemctl gives none", () => {
  const notify = { NOTIFY_SOCKET: "/run/systemd/notify" };
  assert.deepEqual(find(UNIT, "echo 65536; exit 1").found, notify);
  assert.deepEqual(find(UNIT, "true").found, notify);
  assert.deepEqual(find(UNIT, "echo '[not set]'").found, notify);
});

Deno.test("lostEnvironment() is empty for a process that is no system service", () => {
  const nothing = { found: {}, asked: [] };
  assert.deepEqual(find("0::/user.slice/user-0.slice/session-1.scope\n", "echo 1"), nothing);
  assert.deepEqual(find(UNIT, "echo 1", 1000), nothing);
});
