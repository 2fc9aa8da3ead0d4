import assert from "node:assert/strict";
import { installMissing } from "./support/debian_packages.ts";
import { ClusterHost } from "../support/cluster_host.ts";
import { Etcd } from "../support/etcd.ts";
import { replaceProgram, writeProgram } from "../support/program_file.ts";
import { refusedReExec } from "../support/re_exec.ts";

// What must not take over on a host of a cluster, with or without locks.

await installMissing(["etcd-server", "etcd-client", "systemd"]);

const OLDER = `#!/bin/sh
case $1 in
--version) echo 'virtlockd (deno-virtlockd) 1.0.0' ;;
*) echo "virtlockd: error: Unknown command $1"; exit 1 ;;
esac
`;

Deno.test("a host of a cluster is handed over neither to libvirt's daemon nor to one that knows no clusters", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.create(etcd, "a");
  const program = `${a.place.directory}/virtlockd`;
  writeProgram(program);
  await a.startDaemon({ program });
  replaceProgram(program, "#!/bin/sh\necho 'virtlockd (libvirt) 9.0.0'\n");
  assert.match(
    await refusedReExec(a.daemon),
    /^this host is in a cluster, of which libvirt's daemon knows nothing: it would lock disks that other hosts use\. /,
  );
  replaceProgram(program, OLDER);
  assert.match(
    await refusedReExec(a.daemon),
    /^it does not understand the state: .*Unknown command internal-check-cluster-state/,
  );
});
