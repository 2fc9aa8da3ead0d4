import assert from "node:assert/strict";
import { Libvirt } from "./support/libvirt.ts";
import { membershipOf, statusOf, untilMember } from "./support/lock_service.ts";
import { Machine } from "./support/nspawn.ts";
import { clusterPackage, debianPackage, install } from "./support/packages.ts";
import { TlsEtcd } from "./support/tls_etcd.ts";
import { until } from "../support/until.ts";

// The package of the link with etcd: a host with systemd and libvirt joins a cluster whose etcd wants a
// certificate of each user, and lets the host's write below the cluster's prefix only. Real guests with
// leases. Needs root.

const PREFIX = "/virtlockd/prod/";
const CERTIFICATES = "/etc/libvirt/virtlockd-cluster";
const GUESTS = ["alpha", "beta", "gamma"];

/** Pid of the link that the daemon has now. */
async function linkPid(machine: Machine): Promise<number> {
  return await until("a link with etcd", async () => {
    const units = await machine.sh("systemctl list-units --plain --no-legend 'virtlockd-cluster@*.service'");
    const [unit] = units.split(" ");
    if (unit === undefined || unit === "") return undefined;
    const pid = Number(await machine.sh(`systemctl show --value --property=MainPID '${unit}'`));
    return pid > 0 && pid;
  });
}

async function defineGuests(machine: Machine): Promise<Libvirt> {
  const libvirt = new Libvirt(machine, "/var/lib/guests");
  await libvirt.configure();
  await machine.sh("systemctl restart libvirtd.service");
  for (const [index, name] of GUESTS.entries()) {
    const path = await libvirt.createDisk(`${name}.qcow2`);
    const lease = await libvirt.createLease(name);
    const uuid = `11111111-2222-3333-4444-00000000000${index}`;
    await libvirt.define({ name, uuid, disks: [{ path, format: "qcow2" }], leases: [lease] });
  }
  return libvirt;
}

Deno.test("A host joins a cluster with the link's package, survives the link's end, and locks nothing without it", async (t) => {
  await using machine = await Machine.boot();
  await install(machine, await debianPackage());
  await install(machine, await clusterPackage());
  const etcd = await TlsEtcd.start(machine, "kvm1", PREFIX);
  const libvirt = await defineGuests(machine);
  const locks = () => etcd.keys(`${PREFIX}lock/`);

  await t.step("installing opens the socket, to root alone, and starts no process", async () => {
    assert.equal(
      await machine.sh("virtlockd-cluster --version"),
      (await machine.sh("virtlockd --version")).replace(
        "virtlockd ",
        "virtlockd-cluster ",
      ),
    );
    assert.equal((await machine.sh("systemctl is-enabled virtlockd-cluster.socket")).trim(), "enabled");
    assert.equal(await machine.sh("stat --format='%a %U' /run/libvirt/virtlockd-cluster-sock"), "600 root\n");
    assert.equal(await machine.sh("systemctl list-units --plain --no-legend 'virtlockd-cluster@*'"), "");
    assert.equal(await machine.sh(`stat --format='%a %U' ${CERTIFICATES}`), "700 root\n");
  });

  await t.step("a key where the link may not read it is named, with where to put it", async () => {
    const setting = (directory: string) =>
      // From inside a container it cannot be seen who else writes to a disk.
      `settle_timeout = 1\\ncluster_endpoints = [ "${etcd.url}" ]\\ncluster_name = "prod"\\ncluster_host_id = "kvm1"\\n` +
      `cluster_lockspaces = [ "leases=${libvirt.leaseLockspace}" ]\\ncluster_ca_file = "${directory}/ca.pem"\\n` +
      `cluster_cert_file = "${directory}/kvm1.pem"\\ncluster_key_file = "${directory}/kvm1-key.pem"\\n`;
    await machine.sh(`printf '${setting("/root/etcd")}' >/etc/libvirt/virtlockd.conf
      systemctl start virtlockd; virtlockd reload`);
    const reason = await until("the daemon to say why it is no member", async () => {
      const { reason = "" } = await membershipOf(machine);
      return reason.includes("Read ") && reason;
    });
    assert.match(
      reason,
      /Read \/root\/etcd\/ca\.pem: .*permission denied.*; put it into \/etc\/libvirt\/virtlockd-cluster, whose files are loaded for the link with etcd/i,
    );
    await machine.sh(`
      for name in ca kvm1 kvm1-key; do install -m 0600 /root/etcd/$name.pem ${CERTIFICATES}/; done
      printf '${setting(CERTIFICATES)}' >/etc/libvirt/virtlockd.conf
      virtlockd reload
    `);
    const opened = await machine.sh("virtlockd cluster open --expect kvm1");
    assert.equal(opened, "The cluster is open.\n");
  });

  await t.step("it joins with a certificate and a key that are root's", async () => {
    await untilMember(machine);
    assert.match(await machine.journal("virtlockd.service"), /This host is a member of its cluster/);
    const pid = await linkPid(machine);
    const status = await machine.sh(`cat /proc/${pid}/status`);
    const [, uid = "0"] = /^Uid:\t(\d+)/m.exec(status) ?? [];
    assert.ok(Number(uid) >= 61184 && Number(uid) <= 65519, `it runs as ${uid}`);
    for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
      assert.match(status, new RegExp(`^${set}:\t0000000000000000$`, "m"));
    }
    assert.match(status, /^NoNewPrivs:\t1$/m);
    assert.match(status, /^Seccomp:\t2$/m);
  });

  await t.step("systemd finds little that it might be kept from", async () => {
    const said = await machine.sh("systemd-analyze security --no-pager virtlockd-cluster@x.service");
    const [, level = "10"] = /Overall exposure level for \S+: ([\d.]+)/.exec(said) ?? [];
    assert.ok(Number(level) <= 2, said);
  });

  await t.step("a guest's lock is in etcd, and goes with the guest", async () => {
    await libvirt.virsh("start", "alpha");
    assert.deepEqual(await locks(), [`${PREFIX}lock/leases/alpha`]);
    await libvirt.virsh("start", "beta");
    // From a container nobody else's writes can be seen: its own have to be known, which are looked at
    // again a second after its lock was granted (docs/crash-safety.md).
    const seconds = `awk '{print $1}' /proc/uptime`;
    const begun = Number(await machine.sh(seconds));
    await until(
      "what beta has open to be looked at",
      async () => Number(await machine.sh(seconds)) > begun + 2,
    );
    await libvirt.virsh("destroy", "beta");
    await until("beta's lock to go", async () => (await locks()).length === 1);
  });

  await t.step("a link that is killed comes back, and nothing is lost", async () => {
    const pid = await linkPid(machine);
    await machine.sh(`kill -KILL ${pid}`);
    // The start of a link may take longer than a guest waits for etcd: then it is started again.
    const start = ["virsh", "-c", "qemu:///system", "start", "beta"];
    await until("beta to start", async () => (await machine.run(start)).code === 0);
    assert.notEqual(await linkPid(machine), pid);
    await untilMember(machine);
    assert.deepEqual(await locks(), [`${PREFIX}lock/leases/alpha`, `${PREFIX}lock/leases/beta`]);
  });

  await t.step("an upgrade of the link's package gives the daemon a new link, and no lock goes", async () => {
    const pid = await linkPid(machine);
    await install(machine, await clusterPackage());
    await until("another link", async () => await linkPid(machine) !== pid);
    await untilMember(machine);
    assert.deepEqual(await locks(), [`${PREFIX}lock/leases/alpha`, `${PREFIX}lock/leases/beta`]);
  });

  await t.step(
    "removing the package says what it means; guests run on, and none with such a lock starts",
    async () => {
      const { stdout, stderr } = await machine.run(["dpkg", "--remove", "deno-virtlockd-cluster"]);
      assert.match(
        `${stdout}${stderr}`,
        /This host is in a cluster\. From now on every lock of the cluster's is refused/,
      );
      assert.equal((await machine.run(["ls", "/run/libvirt/virtlockd-cluster-sock"])).code, 2);
      const said = await libvirt.virshError("start", "gamma");
      assert.match(
        said,
        /nobody listens there; install deno-virtlockd-cluster, and systemctl enable --now virtlockd-cluster\.socket/,
      );
      assert.match(await libvirt.virsh("list", "--name"), /alpha\nbeta/);
      assert.deepEqual(await locks(), [`${PREFIX}lock/leases/alpha`, `${PREFIX}lock/leases/beta`]);
      assert.equal(await machine.sh(`ls ${CERTIFICATES}`), "ca.pem\nkvm1-key.pem\nkvm1.pem\n");
    },
  );

  await t.step("without it no virtlockd is started that knows no clusters, and the locks wait", async () => {
    const held = async () => (await statusOf<{ locks: { exclusive: number } }>(machine)).locks.exclusive;
    const before = await held();
    // libvirt's own does not: as an older version of ours it would go on and lock for this host alone.
    const said = await machine.sh(`
      mv /usr/sbin/virtlockd /usr/sbin/virtlockd.kept
      cp /usr/sbin/virtlockd.libvirt /usr/sbin/virtlockd
      kill -KILL $(systemctl show --property=MainPID --value virtlockd)
      until journalctl --no-pager -o cat -u virtlockd | grep "of which this virtlockd knows nothing"; do sleep 0.2; done
      mv /usr/sbin/virtlockd.kept /usr/sbin/virtlockd
      systemctl reset-failed virtlockd.service virtlockd.socket; systemctl restart virtlockd.service`);
    assert.match(
      said,
      /This host is in a cluster, of which this virtlockd knows nothing: install deno-virtlockd/,
    );
    assert.equal(await held(), before);
  });

  await t.step("installed again it serves at once, and after the next start of the host", async () => {
    await install(machine, await clusterPackage());
    assert.equal((await machine.sh("systemctl is-enabled virtlockd-cluster.socket")).trim(), "enabled");
    assert.equal((await machine.run(["ls", "/etc/systemd/system/virtlockd.service.d"])).code, 2);
    await untilMember(machine);
    await libvirt.virsh("start", "gamma");
    assert.deepEqual(await locks(), ["alpha", "beta", "gamma"].map((name) => `${PREFIX}lock/leases/${name}`));
  });

  await t.step("etcd keeps the host below its prefix", async () => {
    const etcdctl = `ETCDCTL_API=3 etcdctl --endpoints=${etcd.url} --cacert=${CERTIFICATES}/ca.pem ` +
      `--cert=${CERTIFICATES}/kvm1.pem --key=${CERTIFICATES}/kvm1-key.pem`;
    const refused = await machine.run(["sh", "-c", `${etcdctl} put /virtlockd/other/x 1`]);
    assert.match(refused.stderr, /permission denied/);
  });
});
