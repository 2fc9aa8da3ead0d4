import assert from "node:assert/strict";
import { defineGuests, type Guests, REFUSED_BY_ALPHA } from "./support/guests.ts";
import { isLockable } from "./support/kernel_locks.ts";
import { LockProber } from "./support/lock_prober.ts";
import { LockService } from "./support/lock_service.ts";
import { Machine } from "./support/nspawn.ts";
import { debianPackage, install } from "./support/packages.ts";
import { releasesToTest } from "./support/releases.ts";
import { until } from "../support/until.ts";
import { THOROUGH } from "../support/thorough.ts";

// How our daemon behaves towards systemd and the operator: starts that cannot succeed, and reloads.

const CONFIG = "/etc/libvirt/virtlockd.conf";
/** Ours, and libvirt's put aside. */
const PROGRAMS = "/usr/sbin/virtlockd\n/usr/sbin/virtlockd.libvirt\n";

/** As `systemctl mask --force` does. */
async function mask(machine: Machine): Promise<void> {
  await machine.sh("ln -sf /dev/null /etc/systemd/system/virtlockd.service; systemctl daemon-reload");
}

async function watchdog(service: LockService): Promise<string> {
  return (await service.properties("WatchdogUSec")).WatchdogUSec;
}

/** What goes by how systemd hears the daemon, which is not the same in all releases. */
async function maskedUnit(t: Deno.TestContext, machine: Machine, { libvirt, disk }: Guests): Promise<void> {
  const service = new LockService(machine);
  await t.step("a unit that is masked costs no lock, and systemd goes on hearing the daemon", async () => {
    await machine.sh(`: >${CONFIG}`);
    await until("the watchdog", async () => (await watchdog(service)) === "20s");
    const before = await service.pid();
    await mask(machine);
    if (machine.release !== "bookworm") {
      await until("the watchdog to be off", async () => (await watchdog(service)) === "0");
    }
    assert.deepEqual(await service.properties("NotifyAccess"), { NotifyAccess: "main" });
    await machine.sh("virtlockd reload");
    assert.equal(await service.pid(), before);
    assert.equal(await isLockable(machine, disk), false);
    await machine.sh("systemctl unmask virtlockd.service");
    // Its link has been in the place of ours.
    await install(machine, await debianPackage());
    await until("the watchdog", async () => (await watchdog(service)) === "20s");
    assert.equal(await isLockable(machine, disk), false);
    assert.match(await libvirt.virshError("start", "beta"), REFUSED_BY_ALPHA);
  });
}

/** The guest has no connection of its own any more when the daemon has been stopped. */
async function removalAfterStop(
  t: Deno.TestContext,
  machine: Machine,
  { libvirt, disk }: Guests,
): Promise<void> {
  const service = new LockService(machine);
  await t.step(
    "the daemon that comes after a stop names the guest that runs without its locks",
    async () => {
      await machine.sh("systemctl stop virtlockd.service");
      await service.untilState("inactive");
      assert.equal(await isLockable(machine, disk), true);
      await machine.sh("systemctl start virtlockd.service");
      assert.match(
        await machine.sh("journalctl --sync; journalctl --no-pager --output=cat --identifier=virtlockd"),
        /gave up 2 locks\. These guests still run without their locks, start them anew: 'alpha'/,
      );
    },
  );

  await t.step(
    "a removal names a guest whose end libvirt's daemon would not notice, also when the unit is masked",
    async () => {
      await libvirt.virsh("suspend", "alpha");
      await libvirt.virsh("resume", "alpha");
      assert.equal(await isLockable(machine, disk), false);
      await mask(machine);
      const said = await machine.sh("apt-get remove -q -y deno-virtlockd");
      assert.equal(await watchdog(service), "0");
      assert.match(
        said,
        /deno-virtlockd: Mind domain 'alpha' \(uuid \S+, pid \d+\), which has no connection of its own/,
      );
      assert.match(
        await machine.journal("virtlockd.service"),
        /libvirt's daemon keeps '\S+alpha.qcow2', 'database' locked after the end of domain 'alpha'/,
      );
      assert.equal(await isLockable(machine, disk), false);
      await libvirt.virsh("suspend", "alpha");
      await libvirt.virsh("destroy", "alpha");
      await until("the disk to be free", () => isLockable(machine, disk));
      await libvirt.virsh("start", "beta");
    },
  );
}

for (const release of releasesToTest("oldest")) {
  Deno.test(`a mistake in the configuration fails the unit at once, and with locks does not stop the daemon: ${release}`, async (t) => {
    await using machine = await Machine.boot(release);
    const service = new LockService(machine);
    await install(machine, await debianPackage());
    const guests = await defineGuests(machine);
    const { libvirt, disk } = guests;
    await machine.sh(`systemctl stop virtlockd.service; echo 'max_clients = "five"' >${CONFIG}`);

    // The start that fails ends by itself and is not tried again, so that virsh has its error at once.
    const untilRefused = async () => {
      await service.untilState("failed");
      assert.deepEqual(await service.properties("Result", "ExecMainStatus", "NRestarts"), {
        Result: "exit-code",
        ExecMainStatus: "78",
        NRestarts: "0",
      });
    };

    await t.step("virsh has its error from the start that fails, and so has the next one", async () => {
      for (let time = 0; time < 2; time++) {
        await libvirt.virshError("start", "alpha");
        await untilRefused();
      }
    });

    await t.step("the unit says file, line and what was expected", async () => {
      const { stdout } = await machine.run(["systemctl", "status", "--no-pager", "-l", "virtlockd.service"]);
      assert.match(
        stdout,
        /virtlockd: error: \/etc\/libvirt\/virtlockd.conf:1: expected an integer from 1 to \d+ for "max_clients", got the string "five"/,
      );
      const doctor = await machine.run(["virtlockd", "doctor"]);
      assert.match(doctor.stdout, /PROBLEM +.*virtlockd.conf:1: expected an integer/);
    });

    await t.step(
      "so it does for wrong arguments, also for those that the program has commands for",
      async () => {
        const wrong: readonly (readonly [string, string])[] = [
          ["--bogus", 'Unknown option "--bogus"'],
          ["--version", 'Option "--version" is not for a daemon'],
          ["locks --watch", 'Command "locks" is not for a daemon'],
          ["nonsense", 'Unexpected argument "nonsense"'],
        ];
        for (const [args, reason] of wrong) {
          await machine.sh(`: >${CONFIG}; echo 'VIRTLOCKD_ARGS="${args}"' >/etc/default/virtlockd`);
          await machine.sh("systemctl reset-failed virtlockd.service");
          await libvirt.virshError("start", "alpha");
          await untilRefused();
          const status = ["systemctl", "status", "--no-pager", "-l", "virtlockd.service"];
          const { stdout } = await machine.run(status);
          assert.ok(stdout.includes(`${reason}; correct VIRTLOCKD_ARGS in /etc/default/virtlockd`), stdout);
        }
      },
    );

    await t.step("the next guest starts when it is mended, without anybody starting the daemon", async () => {
      await machine.sh("rm /etc/default/virtlockd");
      await libvirt.virsh("start", "alpha");
    });

    await t.step("with locks, the daemon starts in spite of both", async () => {
      const arguments_ = `echo 'VIRTLOCKD_ARGS="locks --bogus"' >/etc/default/virtlockd`;
      await machine.sh(`echo 'max_clients = "five"' >${CONFIG}; ${arguments_}`);
      for (const end of ["systemctl kill --kill-whom=main --signal=KILL", "systemctl restart"]) {
        const before = await service.pid();
        await machine.sh(`${end} virtlockd.service`);
        // systemd may not know yet that the killed one has ended.
        await until("another process", async () => ![0, before].includes(await service.pid()));
        await service.untilState("active");
        assert.equal(await isLockable(machine, disk), false);
        assert.match(await libvirt.virshError("start", "beta"), REFUSED_BY_ALPHA);
      }
      const journal = await machine.journal("virtlockd.service");
      assert.match(
        journal,
        /Started in spite of this: \/etc\/libvirt\/virtlockd.conf:1: expected an integer/,
      );
      assert.match(journal, /Started in spite of this: Unknown option "--bogus"/);
      assert.match(
        journal,
        /was started again because the last daemon was killed or crashed\. Took over \d clients? and 2 locks of the guest 'alpha'/,
      );
      assert.match(
        journal,
        /was started again after the last daemon that served had been stopped\. Took over \d clients?/,
      );
    });

    const refusedRemoval = async () => {
      const before = await service.pid();
      const { code, stdout } = await machine.run(["apt-get", "remove", "-q", "-y", "deno-virtlockd"]);
      assert.notEqual(code, 0);
      const installed = "dpkg-query --show --showformat='${db:Status-Status}' deno-virtlockd";
      assert.equal(await machine.sh(installed), "installed");
      assert.equal(await service.pid(), before);
      assert.equal(await machine.sh("ls /usr/sbin/virtlockd*"), PROGRAMS);
      assert.equal(await isLockable(machine, disk), false);
      return stdout.replaceAll("\r", "");
    };

    await t.step(
      "neither a removal nor a reload loses the locks to a configuration that is wrong",
      async () => {
        const wrong: readonly (readonly [string, RegExp])[] = [
          [
            'max_clients = "five"',
            /virtlockd.conf:1: expected an integer from 1 to \d+ for "max_clients", got the string "five"/,
          ],
          [
            'log_outputs = "1:file:/nowhere/virtlockd.log"',
            /virtlockd.conf:1: a log output cannot be opened: open \/nowhere\/virtlockd.log: No such file/,
          ],
        ];
        for (const [line, reason] of wrong) {
          await machine.sh(`rm -f /etc/default/virtlockd; echo '${line}' >${CONFIG}`);
          const said = await refusedRemoval();
          assert.match(
            said,
            /deno-virtlockd: Not removed: libvirt's virtlockd would not start and lose 2 locks of the guest 'alpha': /,
          );
          assert.match(said, reason);
          const reloaded = await machine.run(["virtlockd", "reload"]);
          assert.equal(reloaded.code, 1);
          assert.match(reloaded.stderr, /Nothing was reloaded, virtlockd goes on with its old settings: /);
          assert.match(reloaded.stderr, reason);
          assert.match(
            (await machine.run(["virtlockd", "doctor"])).stdout,
            /^PROBLEM +configuration: .*virtlockd.conf/m,
          );
        }
        // The daemon itself hands nothing over either, whoever puts libvirt's program in its place.
        await machine.sh("mount --bind /usr/sbin/virtlockd.libvirt /usr/sbin/virtlockd");
        await machine.sh("systemctl kill --kill-whom=main --signal=USR1 virtlockd.service");
        await until("the daemon to refuse", async () =>
          (await machine.journal("virtlockd.service")).includes(
            "libvirt's daemon would not start with this configuration",
          ));
        await machine.sh("umount /usr/sbin/virtlockd");
        assert.equal(await isLockable(machine, disk), false);
      },
    );

    await t.step("a daemon that cannot be asked is not removed with its locks", async () => {
      // However long the removal takes, systemd does not replace the daemon meanwhile. What 'systemctl
      // service-watchdogs' is told holds until units are read anew, which the removal has systemd do.
      await machine.sh(`: >${CONFIG}; export NOTIFY_SOCKET=/run/systemd/notify
        systemd-notify --pid=${await service.pid()} WATCHDOG_USEC=0`);
      await until("the watchdog to be off", async () => (await watchdog(service)) === "0");
      await machine.sh("systemctl kill --kill-whom=main --signal=STOP virtlockd.service");
      assert.match(
        await refusedRemoval(),
        /deno-virtlockd: Not removed: The daemon at \S+ did not answer within 5 s/,
      );
      await machine.sh("systemctl kill --kill-whom=main --signal=CONT virtlockd.service");
      // Whose runtime is gone is started again and again, with its locks in the store.
      await machine.sh(
        "mv /usr/lib/virtlockd/deno /root/; systemctl kill --kill-whom=main --signal=KILL virtlockd.service",
      );
      await until(
        "a start in vain",
        async () => (await machine.journal("virtlockd.service")).includes("deno: it is not there"),
      );
      const { code, stdout } = await machine.run(["apt-get", "remove", "-q", "-y", "deno-virtlockd"]);
      assert.notEqual(code, 0);
      assert.match(stdout, /deno-virtlockd: Not removed: \S+ does not run on this host: /);
      assert.match(
        stdout,
        /'systemctl stop virtlockd.socket virtlockd.service', and remove the package again/,
      );
      await machine.sh("mv /root/deno /usr/lib/virtlockd/");
      await until("the daemon", async () => (await machine.run(["virtlockd", "status"])).code === 0);
      assert.equal(await isLockable(machine, disk), false);
      assert.match(await libvirt.virshError("start", "beta"), REFUSED_BY_ALPHA);
    });

    await maskedUnit(t, machine, guests);
    // CI tries it on the newer release.
    if (THOROUGH) await removalAfterStop(t, machine, guests);
  });
}

for (const release of releasesToTest("newest")) {
  Deno.test(`a reload that is refused changes nothing, and a stop names who runs without locks: ${release}`, async (t) => {
    await using machine = await Machine.boot(release);
    const service = new LockService(machine);
    await install(machine, await debianPackage());
    const guests = await defineGuests(machine);
    const { libvirt, disk } = guests;
    await libvirt.virsh("start", "alpha");
    await maskedUnit(t, machine, guests);

    await t.step(
      "a reload fails with the reason when the new program is refused, and the unit stays",
      async () => {
        await machine.sh(`: >${CONFIG}`);
        await machine.sh("cp -a /usr/sbin/virtlockd /root/kept");
        const broken =
          "'#!/bin/sh\\necho \"virtlockd (deno-virtlockd) 9\"; case $1 in internal*) echo strange; exit 3; esac'";
        // The command is that of the program itself, which has to run: only its new state check is broken.
        await machine.sh(
          `printf '%b\\n' ${broken} >/root/new; chmod 755 /root/new; mount --bind /root/new /usr/sbin/virtlockd; ` +
            "mkdir -p /run/systemd/system/virtlockd.service.d; printf '[Service]\\nExecReload=\\nExecReload=/root/kept reload\\n' " +
            ">/run/systemd/system/virtlockd.service.d/reload.conf; systemctl daemon-reload",
        );
        const pid = await service.pid();
        const reloaded = await machine.run(["systemctl", "reload", "virtlockd.service"]);
        assert.notEqual(reloaded.code, 0);
        await service.untilState("active");
        assert.equal(await service.pid(), pid);
        const { stdout } = await machine.run([
          "systemctl",
          "status",
          "--no-pager",
          "-l",
          "virtlockd.service",
        ]);
        assert.match(
          stdout,
          /The new program was not executed, .* it does not understand the state: .*strange/,
        );
        assert.equal(await isLockable(machine, disk), false);
        await machine.sh(
          "umount /usr/sbin/virtlockd; rm -r /run/systemd/system/virtlockd.service.d; systemctl daemon-reload",
        );
      },
    );

    await t.step("and succeeds when that is mended", async () => {
      await service.reload();
      await service.untilState("active");
      assert.equal(await isLockable(machine, disk), false);
      assert.match(await machine.journal("virtlockd.service"), /goes on after a reload\. Took over/);
    });

    await removalAfterStop(t, machine, guests);
  });
}

for (const release of releasesToTest("newest")) {
  Deno.test(`virtlockd reload moves libvirt's running daemon to this program, and says so: ${release}`, async () => {
    await using machine = await Machine.boot(release);
    const service = new LockService(machine);
    const { libvirt, disk, lease } = await defineGuests(machine);
    await libvirt.virsh("start", "alpha");
    const daemon = await service.pid();
    const prober = await LockProber.start(machine, disk, lease);
    await machine.copyIn(await debianPackage(), "/root/package.deb");
    // The files alone, without the package's scripts, which would do it themselves.
    await machine.sh("mv /usr/sbin/virtlockd /usr/sbin/virtlockd.libvirt; dpkg-deb -x /root/package.deb /");
    // libvirt's daemon looks at nothing before it executes what is in its place.
    await machine.sh("cp -a /usr/sbin/virtlockd /root/elsewhere");
    for (
      const [program, reason] of [
        ["exit 4", "does not run, it ended with code 4"],
        ["echo hello", "is no virtlockd: --version says 'hello'"],
      ] as const
    ) {
      await machine.sh(`printf '#!/bin/sh\\n${program}\\n' >/usr/sbin/virtlockd`);
      const { code, stderr } = await machine.run(["/root/elsewhere", "reload"]);
      assert.equal(code, 1);
      assert.ok(
        stderr.includes(`libvirt's own virtlockd (process ${daemon}) goes on: /usr/sbin/virtlockd ${reason}`),
        stderr,
      );
      assert.equal(await service.pid(), daemon);
    }
    await machine.sh("cp -a /root/elsewhere /usr/sbin/virtlockd");
    assert.match(
      await machine.sh("virtlockd reload"),
      new RegExp(`^virtlockd \\S+ has taken over \\(process ${daemon}\\)\\n$`),
    );
    assert.equal(await service.pid(), daemon);
    assert.match(await libvirt.virshError("start", "beta"), REFUSED_BY_ALPHA);
    assert.match(
      await machine.sh("journalctl --sync; journalctl --no-pager --output=cat --identifier=virtlockd"),
      /goes on in the place of libvirt's own daemon\. Took over \d clients? and 2 locks of the guest 'alpha'/,
    );
    await prober.neverGranted(1000);
  });
}
