import assert from "node:assert/strict";
import { units } from "../../../../../src/lockd/cli/checks/units.ts";
import { findings, found, type Tree } from "./check_fixture.ts";

const OURS = "/usr/lib/virtlockd/system";
const NAMES = ["virtlockd.service", "virtlockd.socket", "virtlockd-admin.socket"];

/** A unit as ours is in what counts here. */
function unitOf(name: string): string {
  return name.endsWith(".socket")
    ? "[Socket]\nTriggerLimitIntervalSec=0\n"
    : "[Unit]\nStartLimitIntervalSec=0\n[Service]\nFileDescriptorStoreMax=65536\nRestart=on-failure\nKillMode=process\n";
}

/** A host of Debian with the package, and libvirt's units beside. */
const INSTALLED: Tree = {
  "/run/systemd/system/": "",
  ...Object.fromEntries(NAMES.flatMap((name) => [
    [`${OURS}/${name}`, unitOf(name)],
    [`/usr/lib/systemd/system/${name}`, "[Unit]\n"],
    [`/etc/systemd/system/${name}`, { link: `${OURS}/${name}` }],
  ])),
};

function without(path: string, instead?: string | { link: string }): Tree {
  const { [path]: _gone, ...rest } = INSTALLED;
  return instead === undefined ? rest : { ...rest, [path]: instead };
}

Deno.test("units: ours are in force, on Debian and elsewhere", async () => {
  assert.deepEqual(await found(units, INSTALLED), [
    "ok: systemd's units of the daemon keep its locks over a crash",
  ]);
  assert.deepEqual(await found(units, INSTALLED, undefined, {}, 1000), []);
  const linked = Object.fromEntries(NAMES.flatMap((name) => [
    [`/usr/share/deno-virtlockd/${name}`, unitOf(name)],
    [`/usr/lib/systemd/system/${name}`, { link: `/usr/share/deno-virtlockd/${name}` }],
  ]));
  assert.deepEqual(await found(units, { "/run/systemd/system/": "", ...linked }), [
    "ok: systemd's units of the daemon keep its locks over a crash",
  ]);
});

Deno.test("units: nothing to look at without systemd, or without the package's units", async () => {
  const { "/run/systemd/system/": _systemd, ...rest } = INSTALLED;
  assert.deepEqual(await found(units, rest), []);
  assert.deepEqual(await found(units, { "/run/systemd/system/": "" }), []);
});

Deno.test("units: a link that was deleted leaves libvirt's unit in force", async () => {
  assert.deepEqual(await findings(units, without("/etc/systemd/system/virtlockd.service")), [{
    level: "warning",
    found:
      "systemd uses libvirt's /usr/lib/systemd/system/virtlockd.service, not ours: a crash loses every lock",
    advice: "'systemctl disable' and 'systemctl revert' delete the link to ours; put it back: " +
      "ln -sf /usr/lib/virtlockd/system/virtlockd.service /etc/systemd/system/ && systemctl daemon-reload && " +
      "systemctl reload virtlockd",
  }]);
  assert.deepEqual(await found(units, without("/etc/systemd/system/virtlockd.socket")), [
    "warning: systemd uses libvirt's /usr/lib/systemd/system/virtlockd.socket, not ours: " +
    "clients that come after a crash may make it lose every lock",
  ]);
});

Deno.test("units: a unit that nobody has, and one that is masked", async () => {
  const { "/usr/lib/systemd/system/virtlockd.service": _libvirts, ...none } = without(
    "/etc/systemd/system/virtlockd.service",
  );
  assert.deepEqual(await found(units, none), ["warning: systemd knows no virtlockd.service"]);
  assert.deepEqual(
    await found(units, without("/etc/systemd/system/virtlockd.socket", { link: "/dev/null" })),
    [
      "problem: virtlockd.socket is masked: it cannot be started",
    ],
  );
});

Deno.test("units: an administrator's own has to set what ours does, itself or in a drop-in", async () => {
  const path = "/etc/systemd/system/virtlockd.service";
  const own = "[Service]\nFileDescriptorStoreMax=100\nRestart=always\nKillMode=process\n";
  assert.deepEqual(await found(units, without(path, own)), [
    "warning: systemd uses /etc/systemd/system/virtlockd.service, which is not ours and sets no " +
    "StartLimitIntervalSec=: several crashes lose every lock",
  ]);
  const dropIn = {
    "/run/systemd/system/virtlockd.service.d/limit.conf": "[Unit]\nStartLimitIntervalSec=0\n",
  };
  assert.deepEqual(await found(units, { ...without(path, own), ...dropIn }), [
    "ok: systemd's units of the daemon keep its locks over a crash",
  ]);
  assert.deepEqual((await found(units, without(path, "[Service]\n"))).length, 4);
});

Deno.test("units: a drop-in that undoes what locks need is named", async () => {
  const directory = "/etc/systemd/system/virtlockd.service.d";
  const with_ = (files: Tree) => findings(units, { ...INSTALLED, ...files });
  assert.deepEqual(
    await with_({ [`${directory}/own.conf`]: "[Service]\n# Restart=always\nRestart = no\n" }),
    [{
      level: "warning",
      found:
        `${directory}/own.conf sets Restart=no: a daemon that crashed is not started again, and every lock is lost`,
      advice: "Take that line out, then: systemctl daemon-reload && systemctl reload virtlockd",
    }],
  );
  const texts = async (files: Tree) => (await with_(files)).map(({ found }) => found);
  const well = ["systemd's units of the daemon keep its locks over a crash"];
  // The last by name counts, and of one name that of the administrator.
  assert.deepEqual(
    await texts({
      [`${directory}/a.conf`]: "[Service]\nRestart=no\n",
      "/run/systemd/system/virtlockd.service.d/b.conf": "[Service]\nRestart=always\n",
      [`${directory}/c.conf`]: "",
      "/usr/lib/systemd/system/virtlockd.service.d/c.conf": "[Service]\nFileDescriptorStoreMax=0\n",
      [`${directory}/z.txt`]: "[Service]\nRestart=no\n",
    }),
    well,
  );
  assert.deepEqual(
    await texts({
      "/usr/lib/systemd/system/virtlockd.socket.d/c.conf": "[Socket]\nTriggerLimitIntervalSec=2s\n",
      [`${directory}/c.conf`]:
        "[Service]\nKillMode=\nFileDescriptorStoreMax=0\n[Unit]\nStartLimitIntervalSec=10\n",
    }),
    [
      `${directory}/c.conf sets FileDescriptorStoreMax=0: a crash loses every lock`,
      `${directory}/c.conf sets StartLimitIntervalSec=10: several crashes lose every lock`,
      `${directory}/c.conf sets KillMode=: a restart may wait for helpers of hung storage`,
      "/usr/lib/systemd/system/virtlockd.socket.d/c.conf sets TriggerLimitIntervalSec=2s: " +
      "clients that come after a crash may make it lose every lock",
    ],
  );
});

Deno.test("units: one that stops the daemon along with the socket for commands", async () => {
  const unit = "[Unit]\nRequires=virtlockd.socket\nRequires=virtlockd-admin.socket\n[Service]\n" +
    "FileDescriptorStoreMax=1\nRestart=always\nStartLimitIntervalSec=0\nKillMode=process\n";
  const along = "who stops or restarts virtlockd-admin.socket stops the daemon with all its locks";
  const libvirts = "/usr/lib/systemd/system/virtlockd.service";
  assert.deepEqual(
    await found(units, { ...without("/etc/systemd/system/virtlockd.service"), [libvirts]: unit }),
    [`warning: systemd uses libvirt's ${libvirts}, not ours: ${along}`],
  );
  const own = "/etc/systemd/system/virtlockd.service";
  assert.deepEqual(await found(units, without(own, unit)), [
    `warning: systemd uses ${own}, which is not ours: ${along}`,
  ]);
});
