import assert from "node:assert/strict";
import { ConfigError } from "../../../../src/chassis/config/config_error.ts";
import { parseConfigFile } from "../../../../src/chassis/config/config_file.ts";
import { forgiveSettings, loadSettings } from "../../../../src/chassis/config/settings.ts";
import { CLUSTER_KEYS } from "../../../../src/lockd/identity/cluster_settings.ts";
import { LOCK_SETTINGS } from "../../../../src/lockd/identity/settings.ts";

function load(text: string) {
  return loadSettings(LOCK_SETTINGS, parseConfigFile(text, "virtlockd.conf")).settings;
}

/** What is said of a wrong setting. */
function mistake(text: string): string {
  try {
    load(text);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return assert.fail(`${text} was taken`);
}

Deno.test("the cluster's settings with each of their keys", () => {
  const text = `
    cluster_endpoints = [ "https://etcd1:2379", "https://etcd2.example.org/", "http://127.0.0.1:2379", "http://[::1]:2379" ]
    cluster_name = "prod"
    cluster_lockspaces = [ "scsi=/var/lib/scsi/", "lvm=/var/lib/lvm" ]
    cluster_devices = 1
    cluster_host_id = "kvm7"
    cluster_ca_file = "/etc/libvirt/virtlockd-cluster/ca.pem"
    cluster_cert_file = "/etc/libvirt/virtlockd-cluster/host.pem"
    cluster_key_file = "/etc/libvirt/virtlockd-cluster/host-key.pem"
    cluster_fence_command = "/etc/libvirt/fence"
    cluster_wait = 7
    cluster_start_wait = 300
    cluster_fence_timeout = 90
    cluster_fence_data = "ipmi 10.0.0.7 ä"
    cluster_on_lost = "kill"
    cluster_trust_network_disks = 1
    cluster_trust_reboot = 2
  `;
  const named = [...text.matchAll(/^ *(\w+) =/gm)].map(([, key]) => key);
  assert.deepEqual(named.sort(), CLUSTER_KEYS.map(([key]) => key).sort());
  const settings = load(text);
  assert.deepEqual(settings.clusterEndpoints, [
    "https://etcd1:2379",
    "https://etcd2.example.org/",
    "http://127.0.0.1:2379",
    "http://[::1]:2379",
  ]);
  assert.equal(settings.clusterName, "prod");
  assert.deepEqual([...settings.clusterLockspaces], [["scsi", "/var/lib/scsi"], ["lvm", "/var/lib/lvm"]]);
  assert.equal(settings.clusterDevices, true);
  assert.equal(settings.clusterHostId, "kvm7");
  assert.equal(settings.clusterWait, 7);
  assert.equal(settings.clusterStartWait, 300);
  assert.equal(settings.clusterCaFile, "/etc/libvirt/virtlockd-cluster/ca.pem");
  assert.equal(settings.clusterCertFile, "/etc/libvirt/virtlockd-cluster/host.pem");
  assert.equal(settings.clusterKeyFile, "/etc/libvirt/virtlockd-cluster/host-key.pem");
  assert.equal(settings.clusterFenceCommand, "/etc/libvirt/fence");
  assert.equal(settings.clusterFenceTimeout, 90);
  assert.equal(settings.clusterFenceData, "ipmi 10.0.0.7 ä");
  assert.equal(settings.clusterTrustReboot, "virtual");
  assert.equal(settings.clusterOnLost, "kill");
  assert.equal(settings.clusterTrustNetworkDisks, true);
});

Deno.test("the storage is trusted with disks on the network, or it is not", () => {
  assert.equal(load("").clusterTrustNetworkDisks, false);
  assert.equal(load("cluster_trust_network_disks = 0").clusterTrustNetworkDisks, false);
  for (const wrong of ["2", "-1", '"yes"', "[ 1 ]"]) {
    assert.match(mistake(`cluster_trust_network_disks = ${wrong}`), /cluster_trust_network_disks/);
  }
});

Deno.test("what is done with guests that have lost their lock is one of three", () => {
  for (const known of ["report", "pause", "kill"]) {
    assert.equal(load(`cluster_on_lost = "${known}"`).clusterOnLost, known);
  }
  assert.equal(load('cluster_on_lost = ""').clusterOnLost, "report");
  for (const wrong of ['"freeze"', '"Kill"', "1", '[ "kill" ]']) {
    assert.match(mistake(`cluster_on_lost = ${wrong}`), /cluster_on_lost/);
  }
  assert.match(
    mistake('cluster_on_lost = "off"'),
    /expected "report", "pause" or "kill" for "cluster_on_lost"/,
  );
});

Deno.test("a host may wait up to an hour for etcd when it is started", () => {
  assert.equal(load("").clusterStartWait, 60);
  assert.equal(load("cluster_start_wait = 0").clusterStartWait, 0);
  assert.equal(load("cluster_start_wait = 3600").clusterStartWait, 3600);
  assert.match(mistake("cluster_start_wait = 3601"), /cluster_start_wait/);
});

Deno.test("a guest waits for other hosts for a second at least: no guest could be moved else", () => {
  assert.equal(load("").clusterWait, 5);
  assert.equal(load("cluster_wait = 1").clusterWait, 1);
  assert.equal(load("cluster_wait = 60").clusterWait, 60);
  for (const wrong of [0, 61]) {
    assert.match(
      mistake(`cluster_wait = ${wrong}`),
      new RegExp(`expected an integer from 1 to 60 for "cluster_wait", got ${wrong}`),
    );
  }
});

Deno.test("what fences is an absolute path, has a time, and is told one line", () => {
  assert.match(
    mistake('cluster_fence_command = "fence"'),
    /expected an absolute path for "cluster_fence_command"/,
  );
  assert.match(mistake("cluster_fence_timeout = 0"), /cluster_fence_timeout/);
  assert.match(mistake("cluster_fence_timeout = 601"), /cluster_fence_timeout/);
  assert.match(
    mistake(`cluster_fence_data = "${"x".repeat(1001)}"`),
    /expected one line of at most 1000 characters for "cluster_fence_data"/,
  );
  assert.match(mistake('cluster_fence_comand = "/fence"'), /cluster_fence_comand/);
});

Deno.test("where reboots are trusted is one of three", () => {
  assert.equal(load("cluster_trust_reboot = 0").clusterTrustReboot, "never");
  assert.equal(load("cluster_trust_reboot = 1").clusterTrustReboot, "metal");
  assert.match(mistake("cluster_trust_reboot = 3"), /cluster_trust_reboot/);
  assert.match(mistake('cluster_trust_reboot = "yes"'), /cluster_trust_reboot/);
  assert.match(mistake("cluster_trust_reboots = 1"), /cluster_trust_reboots/);
});

Deno.test("what is no member of etcd is refused, and an address where TLS needs a name", () => {
  for (const wrong of ["etcd1:2379", "ftp://etcd1", "https://etcd1:2379/v3", "https://etcd 1", ""]) {
    assert.match(
      mistake(`cluster_endpoints = [ "${wrong}" ]`),
      /expected URLs of etcd, "https:\/\/NAME:PORT" for /,
    );
  }
  for (const wrong of ["https://10.0.0.1:2379", "https://[fd00::1]:2379"]) {
    assert.match(
      mistake(`cluster_endpoints = [ "${wrong}" ]`),
      /expected URLs with names, because TLS with an address does not work, "https:\/\/NAME:PORT" for /,
    );
  }
  assert.match(mistake('cluster_endpoints = "https://etcd1"'), /expected a list of strings/);
});

Deno.test("names, directories and files of the cluster's have their form", () => {
  for (
    const wrong of [
      'cluster_name = "a/b"',
      'cluster_name = "-a"',
      'cluster_host_id = "two words"',
      'cluster_lockspaces = [ "/var/lib/scsi" ]',
      'cluster_lockspaces = [ "a=b" ]',
      'cluster_lockspaces = [ "a=/b", "a=/c" ]',
      'cluster_key_file = "key.pem"',
    ]
  ) {
    assert.match(mistake(wrong), /^virtlockd\.conf:1: expected /, wrong);
  }
});

Deno.test("an unknown key that begins with cluster is a mistake, which no start lives with silently", () => {
  const text = 'cluster_endpoint = [ "https://etcd1:2379" ]\n';
  assert.match(mistake(text), /expected a known key, such as "cluster_endpoints", got "cluster_endpoint"/);
  const { settings } = forgiveSettings(LOCK_SETTINGS, text, "virtlockd.conf");
  assert.match(settings.clusterMistake ?? "", /^virtlockd\.conf:1: expected a known key/);
});

Deno.test("a slip in the beginning of such a key is a mistake too, and no other key is taken for one", () => {
  for (
    const key of [
      "Cluster_name",
      "CLUSTER_NAME",
      "cluser_lockspaces",
      "custer_name",
      "clusster_name",
      "clutser_name",
      "lcuster_lockspaces",
    ]
  ) {
    assert.match(
      mistake(`${key} = "prod"`),
      /^virtlockd\.conf:1: expected a known key, such as "cluster_/,
      key,
    );
    const { settings } = forgiveSettings(LOCK_SETTINGS, `${key} = "prod"`, "virtlockd.conf");
    assert.match(settings.clusterMistake ?? "", /^virtlockd\.conf:1: expected a known key/, key);
  }
  for (const key of ["clients", "custom_name", "closer", "auto_disk_leases", "lockspace"]) {
    assert.equal(load(`${key} = 1`).clusterMistake, undefined, key);
  }
});

Deno.test("each member of etcd is named once, with a port that there is", () => {
  for (const wrong of ["https://etcd1:99999", "https://etcd1:0", "http://etcd1:65536"]) {
    assert.match(
      mistake(`cluster_endpoints = [ "${wrong}" ]`),
      /expected URLs with ports from 1 to 65535 for /,
    );
  }
  for (const again of ["https://etcd1", "http://etcd1:2379", "https://ETCD1:2379/"]) {
    assert.match(
      mistake(`cluster_endpoints = [ "https://etcd1:2379", "${again}" ]`),
      /expected each member of etcd once for "cluster_endpoints", got the string /,
    );
  }
});

Deno.test("no directory is called as the cluster's devices are", () => {
  assert.match(
    mistake('cluster_lockspaces = [ "devices=/var/lib/devices" ]'),
    /expected names other than "devices", which stands for devices/,
  );
  assert.match(mistake("cluster_devices = 2"), /expected an integer from 0 to 1/);
});
