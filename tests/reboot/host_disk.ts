import { host, runOk } from "../e2e/support/command.ts";
import { clusterPackage, debianPackage } from "../e2e/support/packages.ts";
import { encodeCreateLockspace, encodeRegister, encodeResource } from "../support/lock_codec.ts";
import { lockCall } from "../support/raw_client.ts";
import { LockProcedure } from "../../src/lockd/wire/lock_protocol.ts";

const PACKAGES = ["/deno-virtlockd.deb", "/deno-virtlockd-cluster.deb"] as const;
const SPACE = "/var/lib/libvirt/lockd/scsi";
/** ACQUIRE_RESOURCE's flag: the file is made on demand. */
const AUTOCREATE = 2;
/** In the place of the pid of a guest, which is known when it runs. */
const MARK = 0x7eadbeef;

/**
 * Stands for a guest: asks the daemon for the lock that it is called after, writes what the daemon has said
 * to /run/guest-NAME, and lives on. In Perl, which every Debian has, and which starts at once without KVM.
 */
const GUEST = `
use strict; use Socket;
my $name = shift;
open(my $file, "<", "/usr/local/lib/guest-$name") or die $!;
socket(my $daemon, PF_UNIX, SOCK_STREAM, 0) or die $!;
connect($daemon, sockaddr_un("/run/libvirt/virtlockd-sock")) or die $!;
sub take { my ($left, $all) = (shift, "");
  while ($left > 0) { my $count = sysread($daemon, my $part, $left); die "the daemon has gone" unless $count;
    $all .= $part; $left -= $count; } return $all; }
my $said = "granted";
while (my $line = <$file>) {
  chomp $line;
  my $call = pack("H*", $line);
  my ($mark, $pid) = (pack("N", ${MARK}), pack("N", $$));
  $call =~ s/\\Q$mark\\E/$pid/g;
  syswrite($daemon, $call) == length($call) or die $!;
  my $reply = take(unpack("N", take(4)) - 4);
  next if unpack("N", substr($reply, 20, 4)) == 0;
  ($said = substr($reply, 24)) =~ tr/ -~//cd;
  last;
}
open(my $new, ">", "/run/guest-$name.new") or die $!;
print $new $said; close($new);
rename("/run/guest-$name.new", "/run/guest-$name") or die $!;
sleep 1000 while 1;
`;

const UNIT = `[Unit]
Description=Stands for the guest %i
After=virtlockd.socket virtlockd-cluster.socket

[Service]
ExecStart=/usr/bin/perl /usr/local/lib/guest.pl %i

[Install]
WantedBy=multi-user.target
`;

const NETWORK = `[Match]
Type=ether

[Network]
Address=10.0.2.15/24
`;

/** Everything is slow without KVM. */
const SETTINGS = `storage_timeout = 60
cluster_name = "test"
cluster_lockspaces = [ "scsi=${SPACE}" ]
cluster_wait = 60
cluster_start_wait = 1200
`;

/** What is not looked at, and takes time. */
const MASKED = [
  ...["libvirtd.service", "libvirtd.socket", "libvirtd-ro.socket", "libvirtd-admin.socket"],
  ...["libvirt-guests.service", "virtlogd.socket", "virtlogd-admin.socket", "apt-daily.timer"],
  ...["apt-daily-upgrade.timer", "getty.target", "systemd-logind.service", "e2scrub_reap.service"],
];

const SCRIPT = `
disk=$1; root=$2; shift 2
mkdir "$root"
mount -o loop "$disk" "$root"
for each in dev proc; do mount --rbind "/$each" "$root/$each"; done
cp "$1" "$root${PACKAGES[0]}"; cp "$2" "$root${PACKAGES[1]}"
cp -r "$3/." "$root"
chroot "$root" sh -ec '
  export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
  dpkg -i ${PACKAGES.join(" ")}
  rm ${PACKAGES.join(" ")}
  rm -f /etc/machine-id /var/lib/dbus/machine-id
  systemd-machine-id-setup
  echo kvm7 >/etc/hostname
  systemctl --quiet enable systemd-networkd guest@started-with-it
  systemctl --quiet mask ${MASKED.join(" ")}
' >&2
umount -R "$root"
rmdir "$root"
`;

/** What a guest says to the daemon, a call a line. */
function calls(name: string): string {
  const owner = { uuid: "6ba7b810-9dad-41d1-80b4-00c04fd430c8", name, id: MARK, pid: MARK };
  return [
    lockCall(LockProcedure.REGISTER, (writer) => encodeRegister(writer, { owner, flags: 0 }), 1),
    lockCall(LockProcedure.CREATE_LOCKSPACE, (writer) => encodeCreateLockspace(writer, { path: SPACE }), 2),
    lockCall(LockProcedure.ACQUIRE_RESOURCE, (writer) => {
      encodeResource(writer, { path: SPACE, name, flags: AUTOCREATE });
    }, 3),
  ].map((call) => `${call.toHex()}\n`).join("");
}

/** What a host's disk is made of. */
export interface HostDisk {
  /** Disk of a Debian, which is not written to. */
  readonly base: string;
  /** Where the disk is made. */
  readonly directory: string;
  /** Of etcd, as the machine reaches it. */
  readonly endpoint: string;
  /** Names of its guests, and of their locks. */
  readonly guests: readonly string[];
}

/**
 * A disk with a Debian and this tree's packages, as an administrator leaves it who has made it a host of the
 * cluster "test".
 *
 * @returns its file
 */
export async function hostDisk({ base, directory, endpoint, guests }: HostDisk): Promise<string> {
  const [disk, files] = [`${directory}/host.ext4`, `${directory}/files`];
  const put = async (path: string, text: string) => {
    await Deno.mkdir(`${files}${path.slice(0, path.lastIndexOf("/"))}`, { recursive: true });
    await Deno.writeTextFile(`${files}${path}`, text);
  };
  await put("/etc/systemd/system/guest@.service", UNIT);
  await put("/usr/local/lib/guest.pl", GUEST);
  for (const name of guests) await put(`/usr/local/lib/guest-${name}`, calls(name));
  await put("/etc/systemd/network/10-test.network", NETWORK);
  await put("/etc/fstab", "/dev/vda / ext4 defaults 0 1\n");
  await put("/etc/libvirt/virtlockd.conf", `${SETTINGS}cluster_endpoints = [ "${endpoint}" ]\n`);
  await runOk(host, ["cp", "--sparse=always", base, disk]);
  const namespace = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", SCRIPT, "sh"];
  const packages = [await debianPackage(), await clusterPackage()];
  await runOk(host, [...namespace, disk, `${directory}/mounted`, ...packages, files], { deadline: 300_000 });
  return disk;
}
