// `deno task test:packages [RELEASE ...]`, as root: builds the source packages on each release of Debian
// without a network, and lets its lintian and rpmlint look at what comes out. The RPM package of the link
// with etcd is built here, and installed and erased there. It ends with code 1 when a build fails, a linter
// finds an error or a package has other files.
import { CACHE } from "../e2e/support/cache.ts";
import { host, runOk } from "../e2e/support/command.ts";
import { clusterRpm, debianPackage } from "../e2e/support/packages.ts";
import { type Release, SETUPS } from "../e2e/support/releases.ts";
import { rootFilesystem } from "../e2e/support/root_filesystem.ts";

const TREE = new URL("../..", import.meta.url).pathname;
const MINUTE = 60_000;

// In an overlay of the release: the tools are fetched, then everything is built in a network namespace with
// nothing in it.
const SCRIPT = `
set -eu
directory=$1; lower=$2; source=$3; inputs=$4; rpmlintrc=$5; link=$6
mkdir "$directory/upper" "$directory/work" "$directory/root"
mount -t overlay -o "lowerdir=$lower,upperdir=$directory/upper,workdir=$directory/work" overlay "$directory/root"
root=$directory/root
mount -t proc proc "$root/proc"; mount --bind /dev "$root/dev"; mount -t tmpfs tmpfs "$root/run"
mkdir "$root/source" "$root/inputs"
mount --bind "$source" "$root/source"; mount --bind "$inputs" "$root/inputs"
cp "$rpmlintrc" "$root/rpmlintrc"; cp "$link" "$root/link.rpm"
cp /etc/resolv.conf "$root/etc/resolv.conf"
printf '#!/bin/sh\\nexit 101\\n' >"$root/usr/sbin/policy-rc.d"; chmod +x "$root/usr/sbin/policy-rc.d"
inside() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }
inside chroot "$root" sh -euc '
  apt-get update -q
  apt-get install -y -q --no-install-recommends build-essential lintian rpm rpmlint xz-utils
' >"$directory/apt" 2>&1 || { cat "$directory/apt"; exit 1; }
inside unshare --net chroot "$root" sh -euc '
  cp -r /source /build
  cd /build/deno-virtlockd-*/
  VIRTLOCKD_BUILD_CACHE=/inputs dpkg-buildpackage --unsigned-source --unsigned-changes
  mkdir -p /root/rpmbuild/SOURCES
  cp /source/deno-virtlockd-*.tar.xz /root/rpmbuild/SOURCES/
  rpmbuild -ba --define "build_cache /inputs" /source/deno-virtlockd.spec
' >"$directory/build" 2>&1 || { cat "$directory/build"; exit 1; }
inside chroot "$root" sh -uc '
  cd /build
  echo "== files"; dpkg-deb --fsys-tarfile *.deb | tar -t | grep -v "/$" | sort
  echo "== lintian"; lintian --allow-root --show-overrides *.changes 2>&1 | cut -c 1-200
  echo "== rpmlint"; rpmlint -r /rpmlintrc /root/rpmbuild/RPMS/*/*.rpm /root/rpmbuild/SRPMS/*.rpm 2>&1 | cut -c 1-200
  cd /
  echo "== link"
  rpm --install --nodeps link.rpm
  rpm --query --all --queryformat "[%{FILEMODES:perms} %{FILENAMES}\\n]"
  rpm --verify --nodeps deno-virtlockd-cluster && echo verified
  find /etc/systemd -name "virtlockd-cluster*" -o -name "virtlockd-fence*"
  rpm --erase deno-virtlockd-cluster && echo erased
  find / -xdev -name "virtlockd-cluster*" -o -xdev -name "virtlockd-fence*" -o -xdev -name "deno-virtlockd-cluster*" |
    grep -v "^/build/" || :
'
`;

/** What comes of the RPM package of the link: Debian's rpm knows nothing of what it needs. */
const LINK = `\
drwx------ /etc/libvirt/virtlockd-cluster
-rw-r--r-- /usr/lib/systemd/system/virtlockd-cluster.socket
-rw-r--r-- /usr/lib/systemd/system/virtlockd-cluster@.service
-rw-r--r-- /usr/lib/systemd/system/virtlockd-fence.socket
-rw-r--r-- /usr/lib/systemd/system/virtlockd-fence@.service
-rwxr-xr-x /usr/sbin/virtlockd-cluster
drwxr-xr-x /usr/share/licenses/deno-virtlockd-cluster
-rw-r--r-- /usr/share/licenses/deno-virtlockd-cluster/LICENSE
-rw-r--r-- /usr/share/licenses/deno-virtlockd-cluster/copyright
-rw-r--r-- /usr/share/man/man8/virtlockd-cluster.8.gz
verified
/etc/systemd/system/sockets.target.wants/virtlockd-cluster.socket
erased
`;

/** Builds and lints on one release. @returns what is wrong with it */
async function tryRelease(release: Release, source: string, inputs: string): Promise<string[]> {
  const root = await rootFilesystem(release);
  const directory = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "virtlockd-packages-" });
  try {
    const rpmlintrc = `${TREE}packaging/rpm/deno-virtlockd.rpmlintrc`;
    const script = ["sh", "-c", SCRIPT, "sh", directory, root, source, inputs, rpmlintrc, await clusterRpm()];
    const namespace = ["unshare", "--mount", "--propagation", "private"];
    const said = await runOk(host, [...namespace, ...script], { deadline: 15 * MINUTE });
    const [, files = "", lintian = "", rpmlint = "", link = ""] = said.split(/^== .*\n/m);
    console.log(`== ${release}\n${lintian}${rpmlint}`);
    const wrong = `${lintian}${rpmlint}`.split("\n").filter((line) => /(^|: )E: /.test(line));
    if (files !== await ownFiles()) wrong.push(`the package has other files:\n${files}`);
    if (link !== LINK) wrong.push(`of the link's package comes something else:\n${link}`);
    return wrong;
  } finally {
    await runOk(host, ["rm", "-rf", "--one-file-system", directory]);
  }
}

/** What is in the package that deno task package builds. */
async function ownFiles(): Promise<string> {
  const list = 'dpkg-deb --fsys-tarfile "$1" | tar -t | grep -v "/$" | sort';
  return await runOk(host, ["sh", "-ec", list, "sh", await debianPackage()]);
}

const named = Deno.args.length > 0 ? Deno.args : Object.keys(SETUPS);
const releases = (Object.keys(SETUPS) as Release[]).filter((release) => named.includes(release));
if (releases.length !== named.length) throw new Error(`Got ${named}, want some of ${Object.keys(SETUPS)}`);
const inputs = `${CACHE}/build-inputs`;
await runOk(host, ["sh", `${TREE}packaging/build_inputs.sh`, "fill", inputs], { deadline: 5 * MINUTE });
const source = `${TREE}build/source`;
// The default of nobody in particular is an address that lintian refuses, and should.
const env = { VIRTLOCKD_MAINTAINER: "A. Packager <packager@example.org>" };
await runOk(host, [Deno.execPath(), "run", "-A", `${TREE}packaging/source.ts`, "--output", source], { env });
let failed = false;
for (const release of releases) {
  const wrong = await tryRelease(release, source, inputs);
  for (const line of wrong) console.log(`${release}: ${line}`);
  failed ||= wrong.length > 0;
}
console.log(failed ? "FAILED" : "ok");
Deno.exit(failed ? 1 : 0);
