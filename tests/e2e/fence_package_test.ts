import assert from "node:assert/strict";
import type { FenceEnd } from "../../src/lockd/cluster/fencing/fence_messages.ts";
import { FenceAttempt } from "./support/fence_attempt.ts";
import { Libvirt } from "./support/libvirt.ts";
import { LockProber } from "./support/lock_prober.ts";
import { LockService, untilMember } from "./support/lock_service.ts";
import { certificate, makeLoneMember, PREFIX } from "./support/lone_member.ts";
import { Machine } from "./support/nspawn.ts";
import { clusterPackage, clusterPackageWithoutFencing, debianPackage, install } from "./support/packages.ts";
import { releasesToTest } from "./support/releases.ts";
import type { TlsEtcd } from "./support/tls_etcd.ts";
import { until } from "../support/until.ts";

// The unit in which a program fences other hosts, under systemd: what the program may do there and what not,
// and packages that come and go while it runs. The other host is played: it has keys in etcd. Needs root.

const PROGRAM = "/etc/libvirt/fence/fence";
const NOTES = "/var/lib/fence";
const PATIENCE = 150_000;

/** Tries what a program may want, and notes what it may. */
const REPORT = `
try() { what=$1; shift; if "$@" >/dev/null 2>&1; then echo "may $what"; else echo "may not $what"; fi; }
socket() { perl -MSocket -e "socket(S, $1, $2, $3) or exit 1; $4"; }
{
  readlink /proc/self/fd/0
  grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status
  env | grep -E '^(LISTEN|NOTIFY)' && echo "is told of sockets"
  try "connect to etcd" socket AF_INET SOCK_STREAM 0 'connect(S, sockaddr_in(2379, inet_aton("127.0.0.1"))) or exit 1'
  try "send any packet" socket 17 SOCK_RAW 0
  try "ping" socket AF_INET SOCK_RAW 1
  try "note something" touch ${NOTES}/x
  try "write to /usr" touch /usr/x
  try "write to /etc" touch /etc/x
  try "write to /root" touch /root/x
  try "write settings of the kernel" sh -c 'echo x >/proc/sys/kernel/domainname'
  try "mount" mount -t tmpfs none /mnt
  try "make a namespace" unshare --mount true
  try "make a user namespace" unshare --user true
  try "make a device" mknod ${NOTES}/device c 1 3
  try "change the root" chroot / true
  try "give files away" chown 1:1 ${NOTES}/x
} >${NOTES}/report 2>&1
setsid sh -c 'echo $$ >${NOTES}/left; exec sleep 1000' >/dev/null 2>&1 &
until [ -s ${NOTES}/left ]; do sleep 0.1; done
`;

const MAY = `/dev/null
NoNewPrivs:\t1
Seccomp:\t2
may connect to etcd
may not send any packet
may ping
may note something
may not write to /usr
may not write to /etc
may not write to /root
may not write settings of the kernel
may not mount
may not make a namespace
may not make a user namespace
may not make a device
may not change the root
may not give files away
`;

/** A machine that is a host of a cluster, and hosts of that cluster of which nothing is heard. */
class Stage implements AsyncDisposable {
  readonly machine: Machine;
  readonly etcd: TlsEtcd;
  readonly libvirt: Libvirt;
  #sessions = 0;

  private constructor(machine: Machine, etcd: TlsEtcd, libvirt: Libvirt) {
    this.machine = machine;
    this.etcd = etcd;
    this.libvirt = libvirt;
  }

  static async boot(release: Parameters<typeof Machine.boot>[0]): Promise<Stage> {
    await using stack = new AsyncDisposableStack();
    const machine = stack.use(await Machine.boot(release));
    await machine.sh(`mkdir -p ${NOTES} $(dirname ${PROGRAM}); cat >${PROGRAM}; chmod 0755 ${PROGRAM}`, {
      input: `#!/bin/sh\nexec sh ${NOTES}/$VIRTLOCKD_FENCE_SESSION "$@"\n`,
    });
    const libvirt = new Libvirt(machine, "/var/lib/guests");
    const etcd = await makeLoneMember(machine, libvirt, `cluster_fence_command = "${PROGRAM}"\n`);
    const stage = new Stage(machine, etcd, libvirt);
    stack.move();
    return stage;
  }

  async untilLive(): Promise<void> {
    await untilMember(this.machine);
  }

  /**
   * Another host of which nothing is heard, and that has the lock of a lease.
   *
   * @param script what the program does to it
   * @returns its session
   */
  async silentHost(lease: string, script: string): Promise<string> {
    const session = `s-${++this.#sessions}`;
    await this.machine.sh(`cat >${NOTES}/${session}`, { input: script });
    const holder = {
      session,
      attempt: "a",
      domain: lease,
      uuid: "11111111-2222-3333-4444-555555555555",
      pid: 7,
      start: 1,
      since: 1,
    };
    const host = { host: "kvm2", name: "kvm2", boot: "b", nonce: "n", data: "10.0.0.2" };
    await this.etcd.put(`${PREFIX}session/${session}`, JSON.stringify(host));
    await this.etcd.put(`${PREFIX}own/${session}/lock/leases/${lease}`, JSON.stringify(holder));
    await this.etcd.put(`${PREFIX}lock/leases/${lease}`, JSON.stringify(holder));
    return session;
  }

  /**
   * Has one fenced, as the daemon would, without waiting for a minute. Where etcd is too slow to answer, as
   * on a busy machine, it is tried again.
   *
   * @param meanwhile called while the program runs, when it has made the file `begun`
   */
  async fence(session: string, meanwhile?: () => Promise<void>): Promise<FenceEnd | undefined> {
    const place = {
      socket: this.machine.outside("/run/libvirt/virtlockd-fence-sock"),
      link: "/run/libvirt/virtlockd-cluster-sock",
      endpoints: {
        urls: [this.etcd.url],
        caFile: certificate("ca"),
        certFile: certificate("kvm1"),
        keyFile: certificate("kvm1-key"),
      },
      cluster: "prod",
      from: "kvm1",
    };
    for (;;) {
      using attempt = await FenceAttempt.begin(place, session, PROGRAM, { limitMs: PATIENCE });
      let ended = false;
      attempt.ended.then(() => ended = true);
      if (meanwhile !== undefined) {
        await until("the program to run", async () => ended || await this.#hasBegun(), PATIENCE, 200);
        if (!ended) await meanwhile();
      }
      const end = await attempt.ended;
      if (end?.kind !== "failed" || !end.reason.includes("does not answer")) return end;
    }
  }

  async #hasBegun(): Promise<boolean> {
    return (await this.machine.run(["test", "-e", `${NOTES}/begun`])).code === 0;
  }

  async units(): Promise<string> {
    return await this.machine.sh("systemctl list-units --all --plain --no-legend 'virtlockd-fence*'");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.machine[Symbol.asyncDispose]();
  }
}

const HELD =
  `echo x >${NOTES}/begun; until [ -e ${NOTES}/go ]; do sleep 0.1; done; rm ${NOTES}/begun ${NOTES}/go`;

/** One release will do in CI: it takes minutes. */
const RELEASES = releasesToTest("oldest");

for (const release of RELEASES) {
  Deno.test(`A program fences in a unit of its own, and packages come and go meanwhile (${release})`, async (t) => {
    await using stage = await Stage.boot(release);
    const { machine, libvirt } = stage;

    await t.step("the socket is there with that of the link, for root alone, and nothing runs", async () => {
      assert.equal(await machine.sh("stat --format='%a %U' /run/libvirt/virtlockd-fence-sock"), "600 root\n");
      assert.equal(
        (await machine.sh("systemctl is-enabled virtlockd-fence.socket || true")).trim(),
        "static",
      );
      assert.doesNotMatch(await stage.units(), /@/);
      assert.doesNotMatch((await machine.run(["virtlockd", "doctor"])).stdout, /fence/);
    });

    await t.step(
      "a guest is not started while another host has its lock, of which nothing is heard",
      async () => {
        const lease = await libvirt.createLease("alpha");
        const path = await libvirt.createDisk("alpha.qcow2");
        await libvirt.define({
          name: "alpha",
          uuid: "11111111-2222-3333-4444-000000000001",
          disks: [{ path, format: "qcow2" }],
          leases: [lease],
        });
        await stage.silentHost("alpha", `echo "$@ $VIRTLOCKD_FENCE_DATA" >>${NOTES}/calls`);
        assert.match(await libvirt.virshError("start", "alpha"), /kvm2.*nothing is heard/);
      },
    );

    await t.step("the program has network, and may do little else", async () => {
      const end = await stage.fence(await stage.silentHost("gamma", REPORT));
      assert.deepEqual(end, { kind: "fenced", freed: 1 });
      assert.equal(await machine.sh(`cat ${NOTES}/report`), MAY);
      await until("what it has left running to end with it", async () => {
        return (await machine.run(["sh", "-c", `kill -0 $(cat ${NOTES}/left)`])).code === 1;
      });
    });

    await t.step("one that belongs to another user is not run, and the doctor says so", async () => {
      await machine.sh(`chown 1 ${PROGRAM}`);
      const end = await stage.fence(await stage.silentHost("gamma", "exit 0"));
      assert.match(end?.kind === "failed" ? end.reason : "", /belongs to uid 1: chown root/);
      const { stdout } = await machine.run(["virtlockd", "doctor"]);
      assert.match(stdout, /cluster_fence_command cannot be run: .*fence belongs to uid 1: chown root/);
      await machine.sh(`chown 0 ${PROGRAM}`);
    });

    await t.step("a minute later that host was fenced by the program, and the guest is started", async () => {
      await until(
        "the host to be fenced",
        async () => /is fenced: .* has said so/.test(await machine.journal("virtlockd.service")),
        PATIENCE,
        1000,
      );
      await libvirt.virsh("start", "alpha");
      assert.equal(await machine.sh(`cat ${NOTES}/calls`), "kvm2 kvm2 10.0.0.2\n");
      assert.match(
        await machine.sh("virtlockd cluster hosts"),
        /fenced by virtlockd on .*, with \/etc\/libvirt\/fence\/fence$/m,
      );
    });

    await t.step("an upgrade while it runs costs neither its word nor the guest's lock", async () => {
      const service = new LockService(machine);
      const lock = `${PREFIX}lock/leases/alpha`;
      const before = await stage.etcd.entry(lock);
      const guest = await libvirt.guestPid("alpha");
      assert.match(before.value, new RegExp(`"domain":"alpha".*"pid":${guest},`));
      const { pid, reExecs } = await service.status();
      const prober = await LockProber.start(
        machine,
        `${libvirt.directory}/alpha.qcow2`,
        `${libvirt.leaseLockspace}/alpha`,
      );
      const end = await stage.fence(await stage.silentHost("gamma", HELD), async () => {
        await install(machine, await debianPackage());
        await install(machine, await clusterPackage());
        await machine.sh(`touch ${NOTES}/go`);
      });
      assert.deepEqual(end, { kind: "fenced", freed: 1 });
      await stage.untilLive();
      const after = await service.status();
      assert.deepEqual([after.pid, after.reExecs], [pid, reExecs + 1]);
      assert.deepEqual(await stage.etcd.entry(lock), before);
      await prober.neverGranted(1000);
    });

    await t.step("a version without the unit is put in its place, and upgraded again", async () => {
      await install(machine, await clusterPackageWithoutFencing());
      await stage.untilLive();
      assert.equal((await machine.run(["ls", "/usr/lib/systemd/system/virtlockd-fence.socket"])).code, 2);
      await machine.sh("systemctl stop virtlockd-cluster.socket; systemctl start virtlockd-cluster.socket");
      await install(machine, await clusterPackage());
      await stage.untilLive();
      assert.equal((await machine.sh("systemctl is-active virtlockd-fence.socket")).trim(), "active");
      await machine.sh("systemctl stop virtlockd-fence.socket virtlockd-cluster.socket");
      // As at the next start of the host, which starts what is enabled.
      await machine.sh("systemctl start sockets.target");
      assert.equal((await machine.sh("systemctl is-active virtlockd-fence.socket")).trim(), "active");
      assert.equal(await machine.sh("systemctl --failed --plain --no-legend"), "");
    });

    await t.step("nothing is left of the unit when the package is purged", async () => {
      await machine.run(["dpkg", "--purge", "deno-virtlockd-cluster"]);
      assert.equal((await machine.run(["ls", "/run/libvirt/virtlockd-fence-sock"])).code, 2);
      assert.equal(
        await machine.sh("find /etc/systemd -name '*virtlockd-fence*' -o -name 'virtlockd-cluster*'"),
        "",
      );
      assert.equal(await machine.sh("systemctl --failed --plain --no-legend"), "");
      assert.match(
        (await machine.run(["virtlockd", "doctor"])).stdout,
        /cluster_fence_command is not run: nobody listens at \/run\/libvirt\/virtlockd-fence-sock/,
      );
    });
  });
}
