import assert from "node:assert/strict";
import { chosenCluster } from "../../../../../src/lockd/cli/cluster/cluster_settings.ts";
import { clusterHostsCommand } from "../../../../../src/lockd/cli/cluster/hosts.ts";
import { ENOENT } from "../../../../../src/os/errno.ts";
import { linuxSys } from "../../../../../src/os/linux.ts";
import { Scratch } from "../../../../support/scratch.ts";
import { context, given } from "../cli_fixture.ts";

const PROGRAM = "/usr/sbin/virtlockd-cluster";

/** The link that a user's command is put through, on a machine that has these of the two places. */
function chosen(scratch: Scratch, has: { socket: boolean; program: boolean }, ...args: string[]): string {
  const real = linuxSys();
  const places: Readonly<Record<string, boolean>> = {
    [`${scratch.path}/libvirt/virtlockd-cluster-sock`]: has.socket,
    [PROGRAM]: has.program,
  };
  const sys = {
    ...real,
    uid: () => 1000,
    access: (path: string, mode: number) => {
      const isThere = places[path];
      return isThere === undefined ? real.access(path, mode) : isThere ? 0 : -ENOENT;
    },
  };
  const env = { HOME: scratch.path, XDG_CONFIG_HOME: scratch.path, XDG_RUNTIME_DIR: scratch.path };
  return chosenCluster(context(sys, { env }), given(clusterHostsCommand, ...args)).link;
}

Deno.test("a host's own cluster is reached by its socket, and where neither that nor the program is there it is missed", () => {
  using scratch = new Scratch();
  Deno.mkdirSync(scratch.file("libvirt"));
  scratch.write("libvirt/virtlockd.conf", 'cluster_endpoints = [ "http://etcd:2379" ]\n');
  const socket = scratch.file("libvirt/virtlockd-cluster-sock");
  assert.equal(chosen(scratch, { socket: true, program: true }), socket);
  assert.equal(chosen(scratch, { socket: false, program: true }), PROGRAM);
  assert.equal(chosen(scratch, { socket: false, program: false }), socket);
  assert.equal(chosen(scratch, { socket: false, program: false }, "--link", "/run/other"), "/run/other");
});

Deno.test("another cluster than the host's own is reached by the program", () => {
  using scratch = new Scratch();
  const other = scratch.write("other.conf", 'cluster_endpoints = [ "http://etcd:2379" ]\n');
  for (const has of [{ socket: true, program: true }, { socket: true, program: false }]) {
    assert.equal(chosen(scratch, has, "--config", other), PROGRAM);
    assert.equal(chosen(scratch, has, "--endpoints", "http://etcd:2379"), PROGRAM);
  }
});

Deno.test("an endpoint with TLS needs all three files, and the options that are missing are named", () => {
  using scratch = new Scratch();
  const said = (...args: string[]) => () =>
    chosen(scratch, { socket: false, program: true }, "--endpoints", "http://a:2379,https://b:2379", ...args);
  assert.throws(said(), { message: '"https" needs "--ca-file", "--cert-file", "--key-file" too' });
  assert.throws(said("--ca-file", "ca.pem", "--key-file", "k.pem"), {
    message: '"https" needs "--cert-file" too',
  });
  assert.equal(said("--ca-file", "ca.pem", "--key-file", "k.pem", "--cert-file", "c.pem")(), PROGRAM);
});

Deno.test("whoever is not root is told who may ask for the host's own cluster", () => {
  using scratch = new Scratch();
  assert.throws(() => chosen(scratch, { socket: true, program: true }), {
    message: /virtlockd\.conf names no cluster: set .* or --endpoints; root is told of this host's own$/,
  });
});
