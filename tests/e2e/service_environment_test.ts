import assert from "node:assert/strict";
import { defineGuests, REFUSED_BY_ALPHA } from "./support/guests.ts";
import { LockProber } from "./support/lock_prober.ts";
import { LockService } from "./support/lock_service.ts";
import { Machine } from "./support/nspawn.ts";
import { debianPackage, install } from "./support/packages.ts";
import { releasesToTest } from "./support/releases.ts";
import { until } from "../support/until.ts";

// systemd lets the service's environment file go before its own variables. Whatever stands there, a crash
// costs no lock.

const FILE = "/etc/default/virtlockd";

/** Lines with which the daemon goes on; what it says of them. */
const BORNE: readonly (readonly [string, RegExp | undefined])[] = [
  ["NOTIFY_SOCKET=/run/other", /Started in spite of this: NOTIFY_SOCKET is '\/run\/other'/],
  ["NOTIFY_SOCKET=", /Started in spite of this: NOTIFY_SOCKET is ''/],
  ["LISTEN_FDS=0", /Started in spite of this: The environment says LISTEN_PID=\d+, LISTEN_FDS=0, /],
  ["LISTEN_FDS=99", /Started in spite of this: The environment says LISTEN_PID=\d+, LISTEN_FDS=99, /],
  ["LISTEN_PID=1", /Started in spite of this: The environment says LISTEN_PID=1, /],
  ["FDSTORE=0", undefined],
  [
    "INVOCATION_ID=x\nJOURNAL_STREAM=1:1\nWATCHDOG_USEC=1\nWATCHDOG_PID=1\nPATH=/absent\nHOME=/absent",
    undefined,
  ],
  ["LD_TRACE_LOADED_OBJECTS=1\nLD_PRELOAD=/absent.so", undefined],
  ["DENO_PERMISSION_BROKER_PATH=/absent\nDENO_TOKIO_EVENT_INTERVAL=0\nNODE_CHANNEL_FD=3", undefined],
];

for (const release of releasesToTest("oldest")) {
  Deno.test(`nothing in the service's environment file costs a lock: ${release}`, async () => {
    await using machine = await Machine.boot(release);
    const service = new LockService(machine);
    await install(machine, await debianPackage());
    const { libvirt, disk, lease } = await defineGuests(machine);
    await libvirt.virsh("start", "alpha");
    const prober = await LockProber.start(machine, disk, lease);
    const crash = async () => {
      const before = await service.pid();
      await machine.sh("systemctl kill --kill-whom=main --signal=KILL virtlockd.service");
      await until("another process", async () => ![0, before].includes(await service.pid()));
    };
    for (const [lines, says] of BORNE) {
      await machine.sh(`printf '%s\\n' "$LINES" >${FILE}`, { env: { LINES: lines } });
      await crash();
      await service.untilState("active");
      assert.match(await libvirt.virshError("start", "beta"), REFUSED_BY_ALPHA, lines);
      if (says !== undefined) assert.match(await machine.journal("virtlockd.service"), says);
    }
    // Nobody can tell what was stored: systemd keeps it until that is mended.
    for (const names of ["x", "virtlockd.socket:virtlockd-admin.socket", ""]) {
      await machine.sh(`echo LISTEN_FDNAMES=${names} >${FILE}`);
      await crash();
      const said =
        `LISTEN_FDNAMES=${names}, but systemd has handed over something else, and nobody knows what it is`;
      await until("the complaint", async () => (await machine.journal("virtlockd.service")).includes(said));
      await machine.sh(`rm ${FILE}`);
      await service.untilState("active");
      assert.match(await libvirt.virshError("start", "beta"), REFUSED_BY_ALPHA, names);
    }
    await prober.neverGranted(1000);
  });
}
