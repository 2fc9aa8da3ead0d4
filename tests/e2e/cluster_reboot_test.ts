import assert from "node:assert/strict";
import { ClusterHost } from "../support/cluster_host.ts";
import { Etcd } from "../support/etcd.ts";
import { Holder } from "../support/holder.ts";
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

for (const [name, { files, settings = "", change, because }] of Object.entries(DISTRUSTED)) {
  Deno.test(`what a host had before it was started again stays when ${name}`, async () => {
    await using kernel = await PlayedKernel.create(files);
    await using etcd = await Etcd.start();
    await using a = await ClusterHost.start(etcd, "a", {
      outer: kernel.enter,
      settings: `storage_timeout = 3\n${settings}`,
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
    const advice = /When they are, 'virtlockd cluster fence (\S+)' frees them/;
    const { groups: _, 1: session = "" } = await a.daemon.log.match(advice) ?? {};
    const fenced = await a.command("fence", session, "--yes", "--dead");
    assert.equal(fenced.code, 0, fenced.stderr);
    await next.acquire(a.space, "disk", AUTOCREATE);
  });
}
