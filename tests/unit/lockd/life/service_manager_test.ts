import assert from "node:assert/strict";
import {
  findServiceManager,
  type Predecessor,
  type ServiceManager,
} from "../../../../src/lockd/life/service_manager.ts";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import type { SpawnOptions, Sys } from "../../../../src/os/sys.ts";
import { kernel } from "../../../support/kernel.ts";
import { standingTime } from "../../../support/standing_time.ts";

/** What systemctl shows of a store of so many descriptors that has two. */
function shown(limit: number): string {
  return `echo FileDescriptorStoreMax=${limit}; echo NFileDescriptorStore=2`;
}

const SHOWN = shown(65536);
const UNIT = "0::/system.slice/virtlockd.service\n";
const SOCKET = "NOTIFY_SOCKET=/run/systemd/notify";

interface Host {
  readonly predecessor?: Predecessor;
  readonly env?: readonly string[];
  readonly cgroup?: string;
  /** Shell script that answers for systemctl. */
  readonly systemctl?: string;
  readonly uid?: number;
}

/** Looks for systemd as a process of such a host. */
function find(
  { predecessor = "unstored", env = [], cgroup = UNIT, systemctl = SHOWN, uid = 0 }: Host,
) {
  const file = Deno.makeTempFileSync();
  Deno.writeTextFileSync(file, cgroup);
  const asked: (readonly string[])[] = [];
  const sys: Sys = {
    ...standingTime(kernel),
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
    const found: ServiceManager = findServiceManager({
      sys,
      loop,
      ledger: new DescriptorLedger(sys),
      env: ["PATH=/usr/bin:/bin", ...env],
      predecessor,
    });
    return { found, asked };
  } finally {
    loop.close();
    Deno.removeSync(file);
  }
}

Deno.test("findServiceManager() asks systemd how many descriptors it keeps for the unit of this process", () => {
  assert.deepEqual(find({}), {
    found: { variables: { NOTIFY_SOCKET: "/run/systemd/notify", FDSTORE: "65536" } },
    asked: [[
      "/usr/bin/systemctl",
      "show",
      "--property=FileDescriptorStoreMax",
      "--property=NFileDescriptorStore",
      "virtlockd.service",
    ]],
  });
});

// Every environment in which an image may find itself, and what it makes of it: libvirt's daemons of 9.0 (no
// NOTIFY_SOCKET) and of 11.3 and 12.8 (with it), ours on systemd 252 and 254 or later, with and without a
// store.
const KNOWN = { variables: {} };
const NOTIFY = { NOTIFY_SOCKET: "/run/systemd/notify" };
const OURS = "VIRTLOCKD_FDSTORE_MAX=65536";
for (
  const [name, host, found, asks] of [
    ["libvirt 9.0", {}, { variables: { ...NOTIFY, FDSTORE: "65536" } }, true],
    [
      "libvirt 9.0, no store",
      { systemctl: shown(0) },
      { variables: { ...NOTIFY, FDSTORE: "0" } },
      true,
    ],
    ["libvirt 11.3 and 12.8", { env: [SOCKET] }, { variables: { FDSTORE: "65536" } }, true],
    ["libvirt 11.3, no store", { env: [SOCKET], systemctl: shown(0) }, {
      variables: { FDSTORE: "0" },
    }, true],
    [
      "ours without the store that its unit has by now",
      { env: [SOCKET, "FDSTORE=0"] },
      { variables: { FDSTORE: "65536" } },
      true,
    ],
    ["ours with a store", { predecessor: "stored", env: [SOCKET, OURS] }, KNOWN, false],
    ["systemd 254", { predecessor: "none", env: [SOCKET, OURS, "FDSTORE=10"] }, KNOWN, false],
    [
      "systemd 252",
      { predecessor: "none", env: [SOCKET, OURS], systemctl: SHOWN },
      { variables: { FDSTORE: "65536" } },
      true,
    ],
    [
      "any systemd, whose administrator has switched the store off",
      { predecessor: "none", env: [SOCKET, OURS], systemctl: shown(0) },
      { variables: { FDSTORE: "0" } },
      true,
    ],
    ["a daemon without a manager", { predecessor: "none" }, KNOWN, false],
    ["another manager", { predecessor: "none", env: ["NOTIFY_SOCKET=/run/other", OURS] }, KNOWN, false],
    ["another manager, after libvirt", { env: ["NOTIFY_SOCKET=/run/other"] }, KNOWN, false],
    ["no service", { cgroup: "0::/user.slice/user-0.slice/session-1.scope\n" }, KNOWN, false],
    ["another user", { uid: 1000 }, KNOWN, false],
  ] as const satisfies readonly (readonly [string, Host, ServiceManager, boolean])[]
) {
  Deno.test(`findServiceManager() after ${name}`, () => {
    const result = find(host);
    assert.deepEqual([result.found, result.asked.length], [found, asks ? 1 : 0]);
  });
}

Deno.test("findServiceManager() finds the unit among the control groups of the old hierarchy", () => {
  const cgroup = "12:cpu:/\n1:name=systemd:/system.slice/lockd@1.service\n0::/system.slice/lockd@1.service\n";
  assert.equal(find({ cgroup }).asked[0]?.at(-1), "lockd@1.service");
});

Deno.test("findServiceManager() says so when systemctl gives no number", () => {
  const doubt = (systemctl: string) => find({ systemctl }).found;
  assert.deepEqual(doubt(`${SHOWN}; exit 1`), {
    variables: NOTIFY,
    doubt: "systemctl ended with code 1: FileDescriptorStoreMax=65536",
  });
  assert.deepEqual(doubt("true"), { variables: NOTIFY, doubt: "systemctl ended with code 0: " });
  assert.deepEqual(doubt("echo '[not set]'"), {
    variables: NOTIFY,
    doubt: "systemctl ended with code 0: [not set]",
  });
  assert.deepEqual(doubt("kill -9 $$"), { variables: NOTIFY, doubt: "it was killed by signal 9" });
});
