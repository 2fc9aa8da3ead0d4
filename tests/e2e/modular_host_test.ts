import assert from "node:assert/strict";
import { modularLibvirt } from "./support/modular_libvirt.ts";
import { Machine } from "./support/nspawn.ts";
import { NEXT_VERSION, storageRpm } from "./support/packages.ts";
import { releasesToTest } from "./support/releases.ts";
import { until } from "../support/until.ts";

// A host with libvirt's modular daemons, built from Debian's source package, and the storage daemon's RPM
// package over libvirt's own storage daemon: what virtqemud, an ordinary user and rpm do there. It is asked
// for with VIRTLOCKD_TEST_MODULAR=1: the first run builds libvirt, and each fetches packages.

const OUR_PROGRAM = "/usr/libexec/deno-virtstoraged/virtstoraged";
const VIRSH = "virsh -q -c storage:///system";

function script(name: string): string {
  return Deno.readTextFileSync(new URL(`modular_host/${name}`, import.meta.url).pathname);
}

const PREPARE = `
systemctl --quiet disable --now libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket
cat >/etc/libvirt/qemu.conf <<END
user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
remember_owner = 0
END
useradd --create-home --shell /bin/sh alice
echo alice:secret | chpasswd
usermod --append --groups sudo alice
for daemon in virtqemud virtstoraged virtsecretd; do
  systemctl start $daemon.socket $daemon-ro.socket $daemon-admin.socket
done
`;

const TOOLS = "rpm polkitd pkexec python3 libpam-systemd";

/** A modular host with libvirt's own daemons, and the RPM packages in /root. */
async function boot(release: Machine["release"]): Promise<Machine> {
  const machine = await Machine.boot(release, { above: await modularLibvirt(release) });
  await machine.online(
    "export DEBIAN_FRONTEND=noninteractive; apt-get -q update; " +
      `apt-get install -q -y --no-install-recommends ${TOOLS}`,
    { deadline: 300_000 },
  );
  await machine.copyIn(await storageRpm(), "/root/ours.rpm");
  await machine.copyIn(await storageRpm(NEXT_VERSION), "/root/next.rpm");
  await machine.sh(PREPARE);
  return machine;
}

/** Which program the service runs now. */
async function program(machine: Machine): Promise<string> {
  const running = "readlink /proc/$(systemctl show --value --property=MainPID virtstoraged)/exe";
  return (await machine.sh(running)).trim();
}

/** What is another one in each run. */
function steady(text: string): string {
  return text.replace(/\d+(?:\.\d+)? GiB/g, "SIZE").replace(/pkttyagent:\d+/g, "pkttyagent:PID");
}

async function disks(machine: Machine): Promise<string> {
  return steady(await machine.sh("bash -s 2>&1", { input: script("disks.sh"), deadline: 120_000 }));
}

async function polkit(machine: Machine): Promise<string> {
  await Deno.writeTextFile(machine.outside("/root/polkit.py"), script("polkit.py"));
  // As a service, so that logind makes sessions for what it starts.
  const service = "systemd-run --quiet --wait --pipe python3 /root/polkit.py 2>&1";
  return steady(await machine.sh(service, { deadline: 180_000 }));
}

/** Answered calls by procedure. */
async function calls(machine: Machine): Promise<Map<string, number>> {
  const metrics = await machine.sh(`${OUR_PROGRAM} metrics`);
  const found = metrics.matchAll(/^virtstoraged_calls_total\{procedure="(\w+)"\} (\d+)$/gm);
  return new Map([...found].map(([, name = "", count]) => [name, Number(count)]));
}

/** A guest `g` with one volume as its disk. */
const ONE_DISK = `
cat >/root/one.xml <<END
<domain type='qemu'><name>g</name><memory unit='MiB'>32</memory><vcpu>1</vcpu><os><type arch='x86_64'>hvm</type></os>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator><disk type='volume' device='disk'>
<driver name='qemu' type='raw'/><source pool='p' volume='v'/><target dev='vda' bus='virtio'/></disk></devices></domain>
END
${VIRSH} pool-define-as p dir --target /var/lib/pool
${VIRSH} pool-start p
${VIRSH} vol-create-as p v 8M
virsh -q -c qemu:///system define /root/one.xml
`;

const THIRTEEN_CALLS = {
  AuthList: 1,
  ConnectClose: 1,
  ConnectOpen: 1,
  ConnectSetIdentity: 1,
  ConnectSupportsFeature: 3,
  StoragePoolGetXMLDesc: 1,
  StoragePoolIsActive: 1,
  StoragePoolLookupByName: 1,
  StorageVolGetInfo: 1,
  StorageVolGetPath: 1,
  StorageVolLookupByName: 1,
};

async function tryRelease(release: Machine["release"], test: Deno.TestContext): Promise<void> {
  await using machine = await boot(release);
  const libvirts = { disks: await disks(machine), polkit: await polkit(machine) };
  assert.equal(await program(machine), "/usr/sbin/virtstoraged");

  await test.step("the package is installed beside libvirt's daemon, which goes on until it ends", async () => {
    // rpm does not know of Debian's packages.
    await machine.sh("rpm --install --nodeps /root/ours.rpm 2>&1; rpm --verify --nodeps deno-virtstoraged");
    assert.equal(await program(machine), "/usr/sbin/virtstoraged");
    await machine.sh("systemctl restart virtstoraged");
    assert.equal(await program(machine), "/usr/libexec/deno-virtstoraged/deno");
    await machine.sh("systemctl reload virtstoraged");
  });

  await test.step("guests with volumes as disks are through the same as over libvirt's daemon", async () => {
    const wipe = "$ virsh -q -c storage:///system vol-wipe v.raw --pool p\n";
    const refused = "error: Failed to wipe vol v.raw\n" +
      "error: Requested operation is not valid: volume 'v.raw' is still in use.\n= 1\n";
    assert.equal(await disks(machine), libvirts.disks.replace(`${wipe}= 0\n`, wipe + refused));
  });

  await test.step("an ordinary user is refused and let in with the same words", async () => {
    const actual = await polkit(machine);
    assert.equal(actual, libvirts.polkit);
    assert.match(actual, /^## with the password = 0$/m);
    assert.match(actual, /no polkit agent available to authenticate action 'org\.libvirt\.unix\.manage'$/m);
  });

  await test.step("a guest's start makes thirteen calls for its disk", async () => {
    await machine.sh(ONE_DISK);
    const before = await calls(machine);
    await machine.sh("virsh -q -c qemu:///system start g");
    const after = await calls(machine);
    const made = [...after].map(([name, count]) => [name, count - (before.get(name) ?? 0)] as const);
    assert.deepEqual(Object.fromEntries(made.filter(([, count]) => count > 0).sort()), THIRTEEN_CALLS);
    await machine.sh("virsh -q -c qemu:///system destroy g");
  });

  await test.step("a pool and a guest that start with the host are started", async () => {
    await machine.sh(`virsh -q -c qemu:///system autostart g; ${VIRSH} pool-autostart p
      systemctl stop virtqemud.service virtqemud.socket virtstoraged.service virtstoraged.socket
      rm -rf /run/libvirt/storage/* /run/libvirt/qemu/*
      systemctl start virtstoraged.socket virtstoraged-ro.socket virtstoraged-admin.socket
      systemctl start virtqemud.socket virtqemud-ro.socket virtqemud.service`);
    const running = ["virsh", "-q", "-c", "qemu:///system", "domstate", "g"];
    await until("the guest to run", async () => (await machine.run(running)).stdout.trim() === "running");
    await machine.sh("virsh -q -c qemu:///system destroy g; virsh -q -c qemu:///system undefine g");
  });

  await test.step("an upgrade and a removal wait for a copy, and libvirt's daemon has the pool then", async () => {
    await machine.sh(`${VIRSH} vol-create-as p big 800M --allocation 800M`);
    const copying = async (name: string, meanwhile: string) => {
      const copy = machine.sh(`${VIRSH} vol-clone big ${name} --pool p`, { deadline: 120_000 });
      await until("the copy", async () => (await machine.sh(`${OUR_PROGRAM} jobs`)).includes(`p/${name}`));
      await machine.sh(meanwhile, { deadline: 120_000 });
      await copy;
    };
    await copying("second", "rpm --upgrade --nodeps /root/next.rpm 2>&1");
    await until("the new version", async () => {
      const { stdout } = await machine.run([OUR_PROGRAM, "status"]);
      return new RegExp(`^version: +${NEXT_VERSION}$`, "m").test(stdout);
    });
    await copying("third", "rpm --erase deno-virtstoraged 2>&1");
    assert.match(await machine.sh(`${VIRSH} vol-list p`), /^ second +[^]*^ third +/m);
    assert.equal(await program(machine), "/usr/sbin/virtstoraged");
    assert.equal(
      await machine.sh("find / -xdev -name '*deno-virtstoraged*' -not -path '/root/*' -print"),
      "",
    );
  });
}

if (Deno.env.get("VIRTLOCKD_TEST_MODULAR") === "1") {
  for (const release of releasesToTest()) {
    Deno.test(`virtqemud, polkit and rpm get along with the storage daemon (${release})`, async (test) => {
      await tryRelease(release, test);
    });
  }
}
