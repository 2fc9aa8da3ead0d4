import assert from "node:assert/strict";
import { units } from "../../../../../src/lockd/cli/checks/units.ts";
import { findings, found, type Tree } from "./check_fixture.ts";

const OURS = "/usr/lib/virtlockd/system";
const NAMES = ["virtlockd.service", "virtlockd.socket", "virtlockd-admin.socket"];

/** A host of Debian with the package, and libvirt's units beside. */
const INSTALLED: Tree = {
  "/run/systemd/system/": "",
  ...Object.fromEntries(NAMES.flatMap((name) => [
    [`${OURS}/${name}`, "[Unit]\n"],
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
    [`/usr/share/deno-virtlockd/${name}`, "[Unit]\n"],
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
