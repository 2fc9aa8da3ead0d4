import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CERTIFICATES, clusterFiles } from "../../../packaging/cluster_files.ts";
import { packageScript } from "../../../packaging/package_script.ts";
import { ROOT } from "../../../packaging/tool.ts";
import { FENCE_SOCKET, LINK_SOCKET } from "../../../src/lockd/cluster/cluster.ts";
import { FENCE_COMMAND } from "../../../src/lockd/cluster/fencing/fence_messages.ts";

function unit(name: string): string {
  return readFileSync(join(ROOT, "packaging/systemd", name), "utf8");
}

Deno.test("the link's package has program, units and manual, and no runtime of its own", () => {
  assert.deepEqual(clusterFiles("/x/virtlockd-cluster").map(({ target }) => target), [
    "usr/sbin/virtlockd-cluster",
    "usr/lib/systemd/system/virtlockd-cluster.socket",
    "usr/lib/systemd/system/virtlockd-cluster@.service",
    "usr/lib/systemd/system/virtlockd-fence.socket",
    "usr/lib/systemd/system/virtlockd-fence@.service",
    "usr/share/man/man8/virtlockd-cluster.8.gz",
  ]);
});

Deno.test("sockets are where the daemon looks for them, and root's alone", () => {
  const sockets = [["virtlockd-cluster.socket", LINK_SOCKET], [
    "virtlockd-fence.socket",
    FENCE_SOCKET,
  ]] as const;
  for (const [name, path] of sockets) {
    const socket = unit(name);
    assert.match(socket, new RegExp(`^ListenStream=/run/libvirt/${path}$`, "m"));
    assert.match(socket, /^SocketMode=0600$/m);
    assert.match(socket, /^Accept=yes$/m);
    assert.doesNotMatch(socket, /^Socket(User|Group)=/m);
  }
});

Deno.test("what fences is a part of the daemon's program, and ends with all that it has started", () => {
  const service = unit("virtlockd-fence@.service");
  assert.match(
    service,
    new RegExp(`^ExecStart=/usr/bin/env --block-signal=USR1 /usr/sbin/virtlockd ${FENCE_COMMAND}$`, "m"),
  );
  assert.match(service, /^StandardInput=socket$/m);
  assert.match(service, /^KillMode=control-group$/m);
  // Watching, the longest program, and ten minutes in which etcd is asked to take its word, take less.
  assert.match(service, /^RuntimeMaxSec=1h$/m);
});

Deno.test("the socket of what fences comes with that of the link, and is not enabled by itself", () => {
  assert.match(unit("virtlockd-cluster.socket"), /^Wants=virtlockd-fence\.socket$/m);
  assert.doesNotMatch(unit("virtlockd-fence.socket"), /^\[Install\]$/m);
  for (const name of ["postinst", "prerm", "postrm", "deno-virtlockd-cluster.spec"]) {
    const script = packageScript(`cluster/${name}`);
    assert.doesNotMatch(script, /(en|dis)able .*virtlockd-fence/, name);
  }
});

Deno.test("certificates are loaded from the directory that the program is told of", () => {
  const service = unit("virtlockd-cluster@.service");
  assert.match(service, new RegExp(`^LoadCredential=certificates:/${CERTIFICATES}$`, "m"));
  assert.match(
    service,
    new RegExp(`^ExecStart=/usr/sbin/virtlockd-cluster --certificates /${CERTIFICATES}$`, "m"),
  );
});

Deno.test("the scripts of the link's packages are complete", () => {
  for (const name of ["control", "postinst", "prerm", "postrm", "deno-virtlockd-cluster.spec"]) {
    assert.doesNotMatch(packageScript(`cluster/${name}`), /^#[A-Z_]+#$/m, name);
  }
  for (const name of ["prerm", "deno-virtlockd-cluster.spec"]) {
    assert.match(packageScript(`cluster/${name}`), /This host is in a cluster\./);
  }
});

Deno.test("the lock daemon's scripts know what is to be done for the link's package", () => {
  for (const name of ["postinst", "postrm"]) {
    const script = packageScript(`deb/${name}`);
    assert.doesNotMatch(script, /^#[A-Z_]+#$/m, name);
    assert.match(script, /^drop_guard\(\) \{$/m, name);
  }
});
