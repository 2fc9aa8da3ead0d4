import assert from "node:assert/strict";
import { cluster } from "../../../../../src/lockd/cli/checks/cluster.ts";
import { CLUSTER_DEFAULTS } from "../../../../../src/lockd/identity/cluster_settings.ts";
import { settingsInUse } from "../../../../../src/lockd/identity/cluster_settings_in_use.ts";
import { answering, FakeHost, found, patientOf } from "./check_fixture.ts";

const MEMBER = {
  name: "prod",
  host: "h",
  session: "s",
  state: "live",
  locks: 3,
  local: 1,
  lost: 0,
  parked: 0,
  left: 0,
  releasing: 0,
  unknown: 0,
} as const;

function findings(section?: Partial<Record<string, unknown>>): Promise<string[]> {
  const sections = section === undefined
    ? { storage: {} }
    : { storage: {}, cluster: { ...MEMBER, ...section } };
  return found(cluster, {}, answering([], { sections }));
}

Deno.test("cluster has nothing to say of a host in none, and of a member that is well", async () => {
  assert.deepEqual(await found(cluster, {}), []);
  assert.deepEqual(await findings(), []);
  assert.deepEqual(await findings({}), []);
});

Deno.test("cluster names versions of etcd that are not safe", async () => {
  const etcd = [{ url: "a", version: "3.5.16" }, { url: "b", version: "3.4.23", unsafe: "it is old" }];
  assert.deepEqual(await findings({ etcd }), [
    "problem: The etcd of cluster prod is not to be relied upon: b: version 3.4.23, UNSAFE: it is old, which may give " +
    "one lock to two hosts; upgrade each member to 3.4.32, 3.5.14, 3.6 or later",
  ]);
});

Deno.test("cluster names the endpoint that is a member of another etcd", async () => {
  const etcd = [
    { url: "a", version: "3.5.16" },
    { url: "b", version: "3.5.16", foreign: "it is another one" },
  ];
  assert.deepEqual(await findings({ etcd }), [
    "problem: cluster_endpoints of cluster prod has members of different etcds: b: it is another one",
  ]);
});

/** What is found where the daemon's file has this content. */
function withFile(text: string, section?: object): Promise<string[]> {
  const sections = { storage: {}, ...section === undefined ? {} : { cluster: { ...MEMBER, ...section } } };
  return found(cluster, { "/etc/libvirt/virtlockd.conf": text }, answering([], { sections }));
}

Deno.test("cluster finds a configuration that the daemon has not taken over", async () => {
  const names = 'cluster_endpoints = [ "http://a:1" ]\n';
  assert.deepEqual(await withFile(names), [
    "problem: virtlockd.conf names cluster default, and the daemon has not taken that over: it locks for this host only",
  ]);
  const settings = settingsInUse({
    ...CLUSTER_DEFAULTS,
    clusterEndpoints: ["http://a:1"],
    clusterLockspaces: new Map([["scsi", "/scsi"]]),
  });
  const same = `${names}cluster_lockspaces = [ "scsi=/scsi" ]\n`;
  assert.deepEqual(await withFile(same, { settings }), []);
  assert.deepEqual(await withFile(names, { settings }), [
    "warning: virtlockd.conf has changed, and the daemon has not taken over: cluster_lockspaces",
  ]);
  // What is wrong with the file another check says, and an older daemon does not tell what it has.
  assert.deepEqual(await withFile("cluster_wait = no", { settings }), []);
  assert.deepEqual(await withFile(names, {}), []);
});

Deno.test("cluster finds a member that locks nothing for other hosts", async () => {
  assert.deepEqual(await findings({ settings: settingsInUse(CLUSTER_DEFAULTS) }), [
    "problem: This host is a member of cluster prod, and locks nothing for other hosts: virtlockd.conf sets neither " +
    "cluster_lockspaces nor cluster_devices",
  ]);
});

Deno.test("cluster tells of locks for guests that the daemon does not know", async () => {
  assert.deepEqual(await findings({ unknown: 2 }), [
    "warning: etcd has locks of this host for guests of which the daemon knows nothing: 2",
  ]);
});

Deno.test("cluster says what the host had before it was started again, and does not free by itself", async () => {
  const kept = [{ session: "s0", boot: "b0", locks: 2, reason: "this is a container" }];
  const reboot = { state: "untrusted", reason: "this is a container", fenced: 0, kept };
  assert.deepEqual(await findings({ reboot }), [
    "warning: An earlier start of this host (boot b0) has 2 locks in etcd, which stay: this is a container",
  ]);
  assert.deepEqual(await findings({ reboot: { ...reboot, kept: [] } }), []);
});

/** Findings on a host that has a program which fences, and somebody at the socket where it is asked for. */
async function fencingFindings(
  more: object = {},
  { mode = 0o755, listened = true }: { mode?: number; listened?: boolean } = {},
): Promise<string[]> {
  using fake = new FakeHost({ "/etc/libvirt/fence": "", "/run/libvirt/": "" }, Deno.uid() ?? 0);
  Deno.chmodSync(`${fake.root}/etc/libvirt/fence`, mode);
  using _ = listened
    ? Deno.listen({ transport: "unix", path: fake.root + fake.host.places.fenceSocket })
    : undefined;
  const fencing = { command: "/etc/libvirt/fence", hosts: [], fenced: 0, failures: 0, ...more };
  const sections = { storage: {}, cluster: { ...MEMBER, fencing } };
  const found = await cluster.run(patientOf(fake.host, answering([], { sections })));
  return found.map(({ level, found, advice = "" }) => `${level}: ${found} (${advice.slice(0, 32)})`);
}

Deno.test("cluster tells of hosts that the program has not fenced", async () => {
  const host = { host: "kvm9", session: "s-9", sinceMs: 1, failures: 2 };
  assert.deepEqual(await fencingFindings(), []);
  assert.deepEqual(await fencingFindings({ hosts: [{ ...host, state: "watching" }] }), []);
  assert.deepEqual(await fencingFindings({ hosts: [{ ...host, state: "failed", reason: "exit code 7" }] }), [
    "problem: Host 'kvm9' is not fenced, and its locks stay: exit code 7. That was try 2 of /etc/libvirt/fence " +
    "(Make sure that it is off and sta)",
  ]);
  assert.deepEqual(await fencingFindings({ hosts: [{ ...host, state: "waiting", reason: "too many" }] }), [
    "warning: Host 'kvm9' is not fenced yet: too many (Make sure that it is off and sta)",
  ]);
});

Deno.test("cluster tells how a host is fenced by hand, whatever it is called", async () => {
  const host = {
    host: "rack 1's host",
    session: "s-9",
    sinceMs: 1,
    failures: 2,
    state: "failed" as const,
    reason: "x",
  };
  const fencing = { command: "/etc/libvirt/fence", hosts: [host], fenced: 0, failures: 0 };
  const sections = { storage: {}, cluster: { ...MEMBER, fencing } };
  using fake = new FakeHost({ "/etc/libvirt/fence": "" });
  const found = await cluster.run(patientOf(fake.host, answering([], { sections })));
  assert.equal(
    found.at(-1)?.advice,
    "Make sure that it is off and stays off; then free its locks: virtlockd cluster fence 'rack 1'\\''s host'",
  );
});

Deno.test("cluster tells of a program that cannot be run, before a host is dead", async () => {
  assert.deepEqual(await fencingFindings({ fault: "it was not executable" }), [
    "problem: cluster_fence_command cannot be run: it was not executable (Mend it and send SIGHUP. Until t)",
  ]);
  // What has become of it since the daemon has looked.
  assert.deepEqual(await fencingFindings({}, { mode: 0o644 }), [
    "problem: cluster_fence_command cannot be run: /etc/libvirt/fence is not executable: chmod 0755 /etc/libvirt/fence " +
    "(Mend it and send SIGHUP. Until t)",
  ]);
  assert.deepEqual(await fencingFindings({}, { listened: false }), [
    "problem: cluster_fence_command is not run: nobody listens at /run/libvirt/virtlockd-fence-sock " +
    "(install deno-virtlockd-cluster, )",
  ]);
});
