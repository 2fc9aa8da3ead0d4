// `deno task test:nfs`, as root: the lock daemon on a real NFS export with root_squash, in a virtual machine
// with Debian's kernel, whose own nfsd serves it; `deno task test:nfs storage`: the storage daemon's pools on
// such exports. Nothing of this host is used but its CPU (emulation, no KVM). It ends with code 1 when
// something is not as it should be. What it looks at is in inside.ts and storage_inside.ts.
import { exitProcess } from "../../src/os/runtime.ts";
import { passesInside } from "../virtual_machine/virtual_machine.ts";

const PACKAGES = [
  "linux-image-amd64",
  "kmod",
  "iproute2",
  "procps",
  "util-linux",
  "nfs-kernel-server",
  "nfs-common",
  "qemu-utils",
  "libvirt-clients",
];
/** What the machine's first process does with the exports, by what is tested. */
const TESTS = {
  locks: `
exportfs -o rw,root_squash,fsid=0,no_subtree_check localhost:/srv/export
rpc.mountd --no-nfs-version 2 --no-nfs-version 3
rpc.nfsd --no-nfs-version 3 4
mount -t nfs4 -o nosharecache localhost:/ /mnt/nfs && cd /tree && /tree/deno run -A --no-check tests/nfs/inside.ts`,
  storage: `
mkdir -p /srv/squashed && mount -t tmpfs -o mode=755 tmpfs /srv/squashed
exportfs -o rw,no_root_squash,fsid=5,no_subtree_check localhost:/srv/export
exportfs -o rw,root_squash,fsid=6,no_subtree_check localhost:/srv/squashed
rpcbind -w
rpc.mountd --no-nfs-version 2
rpc.nfsd --no-nfs-version 3 4
cd /tree && /tree/deno run -A --no-check tests/nfs/storage_inside.ts`,
};
const tested = Deno.args[0] === "storage" ? "storage" : "locks";

const script = `
mkdir -p /srv/export /mnt/nfs && mount -t tmpfs tmpfs /srv/export
modprobe nfsd
mount -t nfsd nfsd /proc/fs/nfsd
useradd --uid 1000 --user-group owner; useradd --uid 1001 --user-group other
${TESTS[tested]}`;
exitProcess(await passesInside({ name: "nfs", packages: PACKAGES, script }) ? 0 : 1);
