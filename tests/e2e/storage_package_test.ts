import assert from "node:assert/strict";
import { GET } from "./support/http_get.ts";
import { Machine } from "./support/nspawn.ts";
import { storagePackage } from "./support/packages.ts";
import { until } from "../support/until.ts";

// The storage daemon's package on a Debian with systemd and libvirt's own packages, where libvirtd serves.

const SOCKETS = "virtstoraged.socket virtstoraged-ro.socket virtstoraged-admin.socket";
const VIRSH = "virsh -c storage:///system";

Deno.test("The storage daemon's package enables nothing beside libvirtd, serves when it is told to, and goes again", async (t) => {
  await using machine = await Machine.boot();
  await machine.copyIn(await storagePackage(), "/root/storage.deb");

  await t.step("installing enables nothing where libvirtd serves storage", async () => {
    const said = await machine.sh("dpkg --install /root/storage.deb 2>&1");
    assert.match(said, /libvirtd serves the storage pools of this host, so nothing is enabled/);
    for (const unit of SOCKETS.split(" ")) {
      assert.equal((await machine.run(["systemctl", "is-enabled", unit])).stdout.trim(), "disabled");
    }
    assert.equal((await machine.run(["virtstoraged", "--version"])).stdout.split(" ")[0], "virtstoraged");
  });

  await t.step("a connection starts it by its socket, and virsh makes pools and volumes", async () => {
    await machine.sh(`systemctl stop libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd.service
      systemctl start ${SOCKETS}`);
    assert.equal((await machine.run(["systemctl", "is-active", "virtstoraged"])).stdout.trim(), "inactive");
    await machine.sh(`mkdir /var/lib/pool
      ${VIRSH} pool-define-as p dir --target /var/lib/pool
      ${VIRSH} pool-start p
      ${VIRSH} vol-create-as p v.qcow2 1M --format qcow2`);
    assert.match(await machine.sh(`${VIRSH} vol-list p`), /v\.qcow2 +\/var\/lib\/pool\/v\.qcow2/);
    assert.equal((await machine.run(["systemctl", "is-active", "virtstoraged"])).stdout.trim(), "active");
    assert.match(await machine.sh("virtstoraged status"), /^pools: +1 active, 0 inactive$/m);
  });

  await t.step("what it mounts is seen by the host", async () => {
    const own = await machine.sh("readlink /proc/1/ns/mnt");
    assert.equal(
      await machine.sh("readlink /proc/$(systemctl show --value -p MainPID virtstoraged)/ns/mnt"),
      own,
    );
  });

  await t.step("the exporter serves its metrics from the confinement of its unit", async () => {
    await machine.sh("systemctl start virtstoraged-exporter.service");
    const stdout = await until("the exporter", async () => {
      const scraped = await machine.run(["python3", "-c", GET, "127.0.0.1", "9775", "/metrics"]);
      return scraped.code === 0 ? scraped.stdout : undefined;
    });
    assert.match(stdout, /^up 1$/m);
    assert.match(stdout, /^virtstoraged_pools\{state="active"\} 1$/m);
  });

  await t.step("a reload and a stop go well, and the pool is there at the next connection", async () => {
    await machine.sh("systemctl reload virtstoraged; systemctl stop virtstoraged");
    assert.equal((await machine.run(["systemctl", "is-failed", "virtstoraged"])).stdout.trim(), "inactive");
    assert.match(await machine.sh(`${VIRSH} pool-list`), /^ p +active/m);
  });

  await t.step(
    "a start that cannot succeed is told to virsh at once, and is not tried for ever",
    async () => {
      const conf = "/etc/libvirt/virtstoraged.conf";
      await machine.sh(`cp -a ${conf} /root/kept.conf`);
      const wrong: readonly (readonly [string, string])[] = [
        [
          "echo 'VIRTSTORAGED_ARGS=\"--bogus\"' >/etc/default/virtstoraged",
          'Unknown option "--bogus"; correct VIRTSTORAGED_ARGS',
        ],
        [
          "echo 'VIRTSTORAGED_ARGS=\"jobs -d\"' >/etc/default/virtstoraged",
          'Command "jobs" is not for a daemon',
        ],
        [`echo 'max_clients = "five"' >${conf}`, `${conf}:1: expected an integer from 1`],
        [`echo 'log_outputs = "1:file:/nowhere/x"' >${conf}`, `${conf}:1: a log output cannot be opened`],
      ];
      for (const [break_, reason] of wrong) {
        await machine.sh(`systemctl stop virtstoraged; systemctl reset-failed virtstoraged; ${break_}`);
        assert.equal((await machine.run(["sh", "-c", `${VIRSH} pool-list`])).code, 1);
        await until(
          "the unit to fail",
          async () =>
            (await machine.run(["systemctl", "is-failed", "virtstoraged"])).stdout.trim() === "failed",
        );
        // It ended by itself and is not tried again: virsh waited for nothing else.
        const shown = "systemctl show --property=Result,ExecMainStatus,NRestarts virtstoraged";
        assert.deepEqual((await machine.sh(shown)).trim().split("\n").sort(), [
          "ExecMainStatus=78",
          "NRestarts=0",
          "Result=exit-code",
        ]);
        const status = ["systemctl", "status", "--no-pager", "-l", "virtstoraged"];
        assert.ok((await machine.run(status)).stdout.includes(reason), reason);
        await machine.sh(`rm -f /etc/default/virtstoraged; cp -a /root/kept.conf ${conf}`);
      }
      assert.match(await machine.sh(`${VIRSH} pool-list`), /^ p +active/m);
    },
  );

  await t.step("libvirtd takes the pool over, and says so to whoever asks this daemon", async () => {
    await machine.sh("systemctl stop virtstoraged; systemctl start libvirtd.socket libvirtd.service");
    const refused = await machine.run(["sh", "-c", `${VIRSH} pool-list`]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /driver\.pid|libvirtd|another/i);
  });

  await t.step("removing it leaves no socket that would hide libvirtd", async () => {
    await machine.sh("dpkg --purge deno-virtstoraged 2>&1");
    assert.equal((await machine.run(["sh", "-c", "ls /run/libvirt/virtstoraged*"])).stdout, "");
    assert.match(await machine.sh("virsh -c storage:///system pool-list"), /^ p +active/m);
  });
});
