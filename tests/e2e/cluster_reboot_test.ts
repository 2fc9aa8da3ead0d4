import assert from "node:assert/strict";
import { ClusterHost, PATIENT } from "../support/cluster_host.ts";
import { Etcd } from "../support/etcd.ts";
import { Holder } from "../support/holder.ts";
import { reExec } from "../support/re_exec.ts";
import { refusal } from "../support/lock_refusal.ts";
import { PlayedKernel } from "../support/played_kernel.ts";
import { until } from "../support/until.ts";
import { installMissing } from "./support/debian_packages.ts";

// Hosts of a cluster that are started again, with a real etcd. What the kernel and the firmware tell is in
// other files, which are mounted over the real ones in a namespace of the host's own.

await installMissing(["etcd-server", "etcd-client", "systemd"]);

/** ACQUIRE_RESOURCE's flag: the file is made on demand. */
const AUTOCREATE = 2;

interface Shown {
  readonly session: string;
  readonly state: string;
  readonly boot: string;
  readonly fencing?: { readonly by: string; readonly from: string; readonly boot?: string };
}

/** A host's daemon and guest end as with its kernel, and nobody hears of it any more. */
async function losePower(host: ClusterHost, guest: Holder, etcd: Etcd): Promise<void> {
  await host.daemon.kill();
  host.killLinks();
  await guest.kill();
  await etcd.control("del", `/virtlockd/test/host/${host.name}`);
}

async function hosts(host: ClusterHost): Promise<Shown[]> {
  return JSON.parse((await host.command("hosts", "--json")).stdout);
}

/** What a daemon says of its earlier starts. */
async function reboot(
  host: ClusterHost,
): Promise<{ state: string; reason?: string; kept: { reason: string }[] }> {
  return JSON.parse((await host.daemon.command("status", "--json")).stdout).sections.cluster.reboot;
}

Deno.test("a host that has lost its power frees by itself what it had, before its guests ask for it", async () => {
  await using kernel = await PlayedKernel.create();
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a", { outer: kernel.enter });
  assert.deepEqual(await reboot(a), { state: "trusted", fenced: 0, kept: [] });
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  await losePower(a, guest, etcd);
  kernel.reboot();
  const started = a.startDaemon();
  // It gives a start before that may live time to object, and whoever asks meanwhile waits.
  await started;
  await using next = await Holder.start(a.daemon);
  await next.acquire(a.space, "disk", AUTOCREATE);
  await a.daemon.log.match(
    /This host was started again, so the guests of its start before are gone: session .* 1 lock of it free/,
  );
  const [old, now] = (await hosts(a)).toSorted((one, two) => one.state.localeCompare(two.state));
  assert.deepEqual([old?.state, old?.fencing?.by, old?.fencing?.boot, now?.state], [
    "fenced",
    "the host itself after a reboot",
    now?.boot,
    "live",
  ]);
  assert.match((await a.command("hosts")).stdout, /fenced by the host itself after a reboot on /);
  assert.equal((await reboot(a)).kept.length, 0);
  await next.kill();
  await until("nothing to be left", async () => {
    const left = await Promise.all(["lock", "own"].map((part) => etcd.keys(`/virtlockd/test/${part}/`)));
    return left.every(({ size }) => size === 0);
  });
});

Deno.test("a host that was stopped in order with guests is trusted when it was started again", async () => {
  await using kernel = await PlayedKernel.create();
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a", { outer: kernel.enter });
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  assert.equal(await a.daemon.stop(), 0);
  await guest.kill();
  assert.match([...(await etcd.keys("/virtlockd/test/session/")).values()].join(), /"quiet":true/);
  await etcd.control("del", "/virtlockd/test/host/a");
  kernel.reboot();
  await a.startDaemon();
  await using next = await Holder.start(a.daemon);
  await next.acquire(a.space, "disk", AUTOCREATE);
});

Deno.test("what a host keeps of a start before it frees at a reload that lets it, and goes on counting", async () => {
  await using kernel = await PlayedKernel.create({ "/proc/cpuinfo": "flags\t\t: fpu hypervisor\n" });
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a", { outer: kernel.enter });
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  await losePower(a, guest, etcd);
  kernel.reboot();
  await a.startDaemon();
  const metric = async (name: string) =>
    new RegExp(`^virtlockd_cluster_reboot_${name} (.*)$`, "m").exec(
      (await a.daemon.command("metrics")).stdout,
    )?.[1];
  assert.deepEqual([await metric("trusted"), await metric("locks_kept")], ["0", "1"]);
  a.place.appendConfig("cluster_trust_reboot = 2\n");
  await reExec(a.daemon);
  await a.daemon.log.match(/the guests of its start before are gone: session .* 1 lock of it free/);
  await until("nothing to be kept", async () => await metric("locks_kept") === "0");
  await a.reExec();
  assert.deepEqual([await metric("trusted"), await metric("fences_total")], ["1", "1"]);
  await using next = await Holder.start(a.daemon);
  await next.acquire(a.space, "disk", AUTOCREATE);
});

/** What is changed between a crash and the next start, and why that is not trusted then. */
interface Distrusted {
  readonly files?: Readonly<Record<string, string | undefined>>;
  readonly settings?: string;
  readonly change?: (kernel: PlayedKernel) => void;
  readonly because: RegExp;
}

const UUID = "/sys/class/dmi/id/product_uuid";
const DISTRUSTED: Readonly<Record<string, Distrusted>> = {
  "its administrator says so": {
    settings: "cluster_trust_reboot = 0",
    because: /^cluster_trust_reboot = 0$/,
  },
  "it is a container": {
    files: { "/.dockerenv": "" },
    because: /^this is a container \(\/\.dockerenv\)/,
  },
  "it is a virtual machine": {
    files: { "/proc/cpuinfo": "flags\t\t: fpu hypervisor\n" },
    because: /^this is a virtual machine \(the CPU's flag 'hypervisor'\)/,
  },
  "its firmware has no uuid": {
    files: { [UUID]: undefined },
    because: /^nothing tells this machine from others: there is no .*product_uuid to read$/,
  },
  "its firmware has a uuid of one digit": {
    files: { [UUID]: "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF\n" },
    because: /is what vendors leave where none was set/,
  },
  "its firmware has the uuid that a vendor leaves": {
    files: { [UUID]: "03000200-0400-0500-0006-000700080009\n" },
    because: /is what vendors leave where none was set/,
  },
  "it is a copy of the disk in another machine": {
    change: (kernel) => kernel.firmware("product_uuid", "e5a0f1de-6f0c-4c39-9a7b-0f4d2f9b1c55\n"),
    because: /^it was on another machine, which may run still/,
  },
  "another board has its uuid by now": {
    change: (kernel) => kernel.firmware("board_serial", "B-78\n"),
    because: /^it was on another machine, which may run still/,
  },
};

Deno.test("what a host had before it was started again stays while a process of then may live", async () => {
  await using kernel = await PlayedKernel.create();
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a", { outer: kernel.enter });
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  await a.daemon.kill();
  a.killLinks();
  await etcd.control("del", "/virtlockd/test/host/a");
  // It passes for another start of the kernel; its guest runs on, and writes.
  kernel.reboot();
  await a.startDaemon();
  await using next = await Holder.start(a.daemon);
  assert.match(await refusal(next.acquire(a.space, "disk", AUTOCREATE)), new RegExp(`pid ${guest.pid}\\)`));
  const [kept] = (await reboot(a)).kept;
  assert.match(
    kept?.reason ?? "",
    new RegExp(`^a process of it, ${guest.pid} of domain '${guest.owner.name}', may run here`),
  );
  // When it has ended the next start of the daemon finds nothing against it.
  await guest.kill();
  await reExec(a.daemon);
  await until("the lock to be free", async () => {
    return await next.acquire(a.space, "disk", AUTOCREATE).then(() => true, () => false);
  });
});

Deno.test("a firmware's uuid that another host has too tells nothing, until that host is removed", async () => {
  await using kernel = await PlayedKernel.create();
  // The same uuid on another board, as where a vendor gives one to all.
  await using another = await PlayedKernel.create();
  another.firmware("board_serial", "B-78\n");
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a", { outer: kernel.enter });
  await using b = await ClusterHost.start(etcd, "b", { outer: another.enter });
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  await losePower(a, guest, etcd);
  kernel.reboot();
  await a.startDaemon();
  await using next = await Holder.start(a.daemon);
  assert.match(await refusal(next.acquire(a.space, "disk", AUTOCREATE)), /is locked by domain/);
  const [kept] = (await reboot(a)).kept;
  assert.match(
    kept?.reason ?? "",
    /^host '.*' \(id b\) has the same uuid in its firmware, .*virtlockd cluster remove b/,
  );
  await b.daemon.kill();
  await etcd.control("del", "/virtlockd/test/host/b");
  assert.equal((await a.command("fence", "b", "--yes", "--dead")).code, 0);
  assert.equal((await a.command("remove", "b")).code, 0);
  await reExec(a.daemon);
  await until("the lock to be free", async () => {
    return await next.acquire(a.space, "disk", AUTOCREATE).then(() => true, () => false);
  });
});

Deno.test("an original that goes on while a copy of it is started objects, and keeps its locks", async () => {
  await using kernel = await PlayedKernel.create();
  // Nothing tells the two machines apart: one that was restored from the other's image.
  await using copied = await PlayedKernel.create();
  await using etcd = await Etcd.start();
  await using original = await ClusterHost.start(etcd, "a", { outer: kernel.enter });
  await using guest = await Holder.start(original.daemon);
  await guest.acquire(original.space, "disk", AUTOCREATE);
  const [session = ""] = [...(await etcd.keys("/virtlockd/test/session/")).keys()];
  // Nobody hears of it. On another machine a copy would not see its guests: here that has to be gone.
  original.daemon.signal("SIGSTOP");
  await guest.kill();
  await etcd.control("del", "/virtlockd/test/host/a");
  await using copy = await ClusterHost.create(etcd, "a", { outer: copied.enter });
  const started = copy.startDaemon();
  await until("the copy to condemn it", async () => {
    return ((await etcd.keys(session)).get(session) ?? "").includes('"condemned"');
  });
  original.daemon.signal("SIGCONT");
  await original.daemon.log.match(/was about to fence this host .*; it lives, and keeps its locks/);
  await started;
  const record = (await etcd.keys(session)).get(session) ?? "";
  assert.doesNotMatch(record, /fencing/);
  await using next = await Holder.start(copy.daemon);
  assert.match(
    await refusal(next.acquire(copy.space, "disk", AUTOCREATE)),
    new RegExp(`is locked by domain '${guest.owner.name}'.*pid ${guest.pid}\\)`),
  );
  assert.match(
    (await reboot(copy)).kept[0]?.reason ?? "",
    /^its session was written anew when it was condemned: it lives, and this host is a copy of it/,
  );
});

for (const [name, { files, settings = "", change, because }] of Object.entries(DISTRUSTED)) {
  Deno.test(`what a host had before it was started again stays when ${name}`, async () => {
    await using kernel = await PlayedKernel.create(files);
    await using etcd = await Etcd.start();
    await using a = await ClusterHost.start(etcd, "a", {
      outer: kernel.enter,
      settings: `${PATIENT}\n${settings}`,
    });
    await using guest = await Holder.start(a.daemon);
    await guest.acquire(a.space, "disk", AUTOCREATE);
    await losePower(a, guest, etcd);
    kernel.reboot();
    change?.(kernel);
    await a.startDaemon();
    await using next = await Holder.start(a.daemon);
    assert.match(await refusal(next.acquire(a.space, "disk", AUTOCREATE)), /is locked by domain/);
    const { kept } = await reboot(a);
    assert.equal(kept.length, 1);
    assert.match(kept[0]?.reason ?? "", because);
    const advice = /When they are, free them: virtlockd cluster fence (\S+)/;
    const { groups: _, 1: session = "" } = await a.daemon.log.match(advice) ?? {};
    const fenced = await a.command("fence", session, "--yes", "--dead");
    assert.equal(fenced.code, 0, fenced.stderr);
    await next.acquire(a.space, "disk", AUTOCREATE);
  });
}
