import assert from "node:assert/strict";
import { byteZeroLocks } from "./support/kernel_locks.ts";
import { host, runOk } from "./support/command.ts";
import { GET } from "./support/http_get.ts";
import { installMissing } from "./support/debian_packages.ts";
import { defineGuests, REFUSED_BY_ALPHA } from "./support/guests.ts";
import { LockProber } from "./support/lock_prober.ts";
import { LockService } from "./support/lock_service.ts";
import { Machine } from "./support/nspawn.ts";
import { debianPackage, install, rpmPackage } from "./support/packages.ts";
import { until } from "../support/until.ts";

// Our packages on a Debian with systemd and libvirt's own packages.

const UNITS = "virtlockd.service virtlockd.socket virtlockd-admin.socket virtlockd-exporter.service " +
  "virtlockd-deputy.socket virtlockd-deputy@x.service";

Deno.test("The package works on a host where no daemon ran yet", async (t) => {
  await using machine = await Machine.boot();
  const service = new LockService(machine);
  await install(machine, await debianPackage());

  await t.step("it starts nothing", async () => {
    assert.deepEqual(await service.properties("ActiveState", "MainPID"), {
      ActiveState: "inactive",
      MainPID: "0",
    });
  });

  await t.step("its units are sound", async () => {
    assert.equal(await machine.sh(`systemd-analyze --man=no verify ${UNITS} 2>&1`), "");
    for (const unit of ["virtlockd.service", "virtlockd-exporter.service"]) {
      const report = await machine.sh(`systemd-analyze --no-pager security ${unit}`);
      console.log(report.trimEnd().split("\n").at(-1));
    }
  });

  await t.step("the socket starts the daemon, which says when it is ready", async () => {
    assert.match(await machine.sh("virt-admin -c virtlockd:///system server-list"), /virtlockd/);
    assert.deepEqual(await service.properties("Type", "ActiveState", "NRestarts"), {
      Type: "notify",
      ActiveState: "active",
      NRestarts: "0",
    });
    await service.untilTold("0 clients, 0 locks");
  });

  const { libvirt, disk } = await defineGuests(machine);

  await t.step("guests start, and a second one is refused a lease", async () => {
    await libvirt.virsh("start", "alpha");
    assert.deepEqual((await byteZeroLocks(machine, disk)).map(({ kind }) => kind), ["OFDLCK"]);
    assert.match(await libvirt.virshError("start", "beta"), REFUSED_BY_ALPHA);
    assert.match(
      await machine.journal("virtlockd.service"),
      /Refused domain 'beta' .*locked by domain 'alpha'/,
    );
  });

  await t.step("a reload and a new configuration keep the locks", async () => {
    const daemon = await service.pid();
    const prober = await LockProber.start(machine, disk);
    await service.reload();
    await service.untilState("active");
    await machine.sh("echo 'max_clients = 77' >>/etc/libvirt/virtlockd.conf");
    await machine.sh("systemctl kill --kill-whom=main --signal=HUP virtlockd.service");
    await until("the new limit", async () => {
      return /nclients_max +: 77$/m.test(await libvirt.virtAdmin("server-clients-info", "virtlockd"));
    });
    assert.equal(await service.pid(), daemon);
    assert.equal((await prober.stop()).grants, 0);
  });

  await t.step("its commands find everything in order", async () => {
    assert.match(await machine.sh("virtlockd locks"), /^\S+ +database +exclusive +alpha +11111111-/m);
    assert.match(await machine.sh("virtlockd clients"), /^virtlockd .* alpha +11111111-/m);
    const { stdout } = await machine.run(["virtlockd", "doctor"]);
    assert.doesNotMatch(stdout, /^PROBLEM/m);
  });

  await t.step("the exporter serves metrics that promtool accepts", async () => {
    await installMissing(["prometheus"]);
    await machine.sh("systemctl start virtlockd-exporter.service");
    const metrics = () => machine.run(["python3", "-c", GET, "127.0.0.1", "9774", "/metrics"]);
    const { stdout } = await until("the exporter", async () => {
      const answer = await metrics();
      return answer.code === 0 && answer;
    });
    assert.match(stdout, /^up 1$/m);
    assert.match(stdout, /^virtlockd_locks\{lockspace="\/var\/lib\/guests\/leases",mode="exclusive"\} 1$/m);
    assert.equal(await runOk(host, ["promtool", "check", "metrics"], { input: stdout }), "");
  });

  await t.step("the shell completes its commands", async () => {
    const complete = `
      source /usr/share/bash-completion/bash_completion
      _completion_loader virtlockd
      COMP_WORDS=(virtlockd locks --d) COMP_CWORD=2 COMP_LINE="virtlockd locks --d" COMP_POINT=19
      _virtlockd
      echo "\${COMPREPLY[*]}"
    `;
    assert.equal(await runOk(machine, ["bash", "-c", complete]), "--domain\n");
  });

  await t.step("its man pages are installed and clean", async () => {
    await installMissing(["mandoc"]);
    for (const page of ["man8/virtlockd.8.gz", "man5/virtlockd.conf.5.gz"]) {
      const lint = await host.run(["mandoc", "-T", "lint", machine.outside(`/usr/share/man/${page}`)]);
      // Other manuals are looked for on the host that runs the test.
      const findings = lint.stdout.split("\n").filter((line) =>
        !line.includes("referenced manual not found")
      );
      assert.deepEqual(findings, [""]);
    }
  });

  await t.step("stopping the socket stops the daemon, and the exporter says so", async () => {
    await libvirt.virsh("destroy", "alpha");
    await machine.sh("systemctl stop virtlockd.socket");
    assert.match(await machine.sh(`python3 -c '${GET}' 127.0.0.1 9774 /metrics`), /^up 0$/m);
  });

  await t.step("purging leaves nothing and gives libvirt its files back", async () => {
    await machine.sh("apt-get purge -q -y deno-virtlockd");
    assert.equal(await machine.sh("dpkg-divert --list '*virtlock*'"), "");
    const ours =
      "-name '*deno-virtlockd*' -o -name '*.libvirt' -o -path '/var/cache/virtlockd*' -o -path '*/.cache/*'";
    assert.equal(await machine.sh(`find / -xdev \\( ${ours} \\) -print`), "");
    const changed =
      (await machine.run(["dpkg", "--verify", "libvirt-daemon", "libvirt-daemon-system"])).stdout;
    assert.doesNotMatch(changed, /virtlockd(?!\.conf)/);
  });
});

Deno.test("The RPM package's script moves a running host over and back", async () => {
  await installMissing(["rpm"]);
  const file = await rpmPackage();
  const query = ["rpm", "--query", "--package", "--list", file];
  const files = (await runOk(host, query)).trimEnd().split("\n");
  for (
    const path of ["/usr/libexec/deno-virtlockd/virtlockd", "/usr/share/deno-virtlockd/virtlockd.service"]
  ) {
    assert.ok(files.includes(path), `want ${path} among\n${files.join("\n")}`);
  }

  await using machine = await Machine.boot();
  const service = new LockService(machine);
  const { libvirt, disk } = await defineGuests(machine);
  await libvirt.virsh("start", "alpha");
  const daemon = await service.pid();
  const prober = await LockProber.start(machine, disk);
  // Debian's rpm would not look for libvirt in dpkg's database, so the files come without it.
  await runOk(host, ["sh", "-ec", 'rpm2archive - <"$1" | tar -xz -C "$2"', "sh", file, machine.outside("/")]);

  await machine.sh("/usr/libexec/deno-virtlockd/divert apply");
  await until("our daemon", async () => (await machine.run(["virtlockd", "status"])).code === 0);
  assert.equal(await service.pid(), daemon);
  assert.match(await libvirt.virshError("start", "beta"), REFUSED_BY_ALPHA);

  await machine.sh("/usr/libexec/deno-virtlockd/divert restore");
  await until("libvirt's daemon", async () => (await libvirt.virtAdmin("version")).includes("daemon: 9.0.0"));
  assert.equal(await service.pid(), daemon);
  assert.match(await libvirt.virshError("start", "beta"), /Lockspace resource 'database' is locked\n/);
  assert.equal((await prober.stop()).grants, 0);
  assert.equal(await machine.sh("dpkg --verify libvirt-daemon"), "");
});

Deno.test("The augeas lens passes its tests and edits the sample configuration", async () => {
  await installMissing(["augeas-tools"]);
  const tree = new URL("../..", import.meta.url).pathname;
  const lenses = `${tree}packaging/augeas`;
  await runOk(host, ["augparse", "--include", lenses, `${lenses}/test_virtlockd.aug`]);

  const root = await Deno.makeTempDir({ prefix: "augeas-" });
  try {
    const sample = await Deno.readTextFile(`${tree}conf/virtlockd.conf`);
    await Deno.writeTextFile(`${root}/virtlockd.conf`, sample);
    const transform = ["--noautoload", "--transform", "Virtlockd.lns incl /virtlockd.conf"];
    await runOk(host, ["augtool", "--root", root, "--include", lenses, ...transform], {
      input: "set /files/virtlockd.conf/max_clients 7\nsave\n",
    });
    assert.equal(await Deno.readTextFile(`${root}/virtlockd.conf`), `${sample}max_clients = 7\n`);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
