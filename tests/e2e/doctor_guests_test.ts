import assert from "node:assert/strict";
import { type Output, runOk } from "./support/command.ts";
import { diagnosis, examine } from "./support/doctor.ts";
import { guestXml } from "./support/guest.ts";
import { LibvirtLab, OUR_DAEMON } from "./support/libvirt_lab.ts";
import { until } from "../support/until.ts";

// Whatever libvirt does with a guest whose disks are locked, doctor never calls it unlocked: not before, not
// after, and not while it is being done.

const UUID = "11111111-2222-3333-4444-555555555555";
const NOBODY = 65534;
/** A guest whose disks can be attached and detached, and that can panic. */
async function define(lab: LibvirtLab, disk: string, format: "raw" | "qcow2" = "qcow2"): Promise<void> {
  const xml = guestXml({ name: "alpha", uuid: UUID, disks: [{ path: disk, format }] })
    .replace("<devices>", "<on_crash>preserve</on_crash><devices>")
    .replace("</devices>", "<controller type='scsi' model='virtio-scsi'/><panic model='isa'/></devices>");
  await runOk(lab, ["virsh", "-q", "define", "/dev/stdin"], { input: xml });
}

/**
 * Does something with a guest while doctor looks on, again and again; then what it found wrong with guests.
 */
async function alarms(lab: LibvirtLab, work: () => Promise<unknown>): Promise<string[]> {
  const alarms = new Set<string>();
  let busy = true;
  const watching = (async () => {
    do {
      for (const { level, check, found } of await examine(lab)) {
        if (check === "guests" && level !== "ok") alarms.add(found);
      }
    } while (busy);
  })();
  try {
    await work();
  } finally {
    busy = false;
    await watching;
  }
  for (const { level, check, found } of await examine(lab)) {
    if (check === "guests" && level !== "ok") alarms.add(`afterwards: ${found}`);
  }
  return [...alarms];
}

for (const indirectDisks of [false, true]) {
  const kind = indirectDisks ? "in a lock directory" : "by themselves";
  Deno.test(
    `doctor never calls a guest unlocked whose disks are locked ${kind}`,
    async (t) => {
      await using lab = await LibvirtLab.start(OUR_DAEMON, { indirectDisks });
      await define(lab, await lab.createDisk("a.qcow2"));
      const second = await lab.createDisk("b.qcow2");
      const virsh = (line: string) => lab.virsh(...line.split(" "));
      const directory = lab.directory;
      const steps: readonly (readonly [string, ...string[]])[] = [
        ["start", "start alpha"],
        ["suspend", "suspend alpha"],
        ["resume", "resume alpha"],
        ["save", `save alpha ${directory}/saved`],
        ["restore", `restore ${directory}/saved`],
        ["managed save", "managedsave alpha", "start alpha"],
        ["dump while it is paused", `dump alpha ${directory}/dump`],
        ["dump while it runs", `dump alpha ${directory}/dump-live --live`],
        ["attach", `attach-disk alpha ${second} sda --targetbus scsi --subdriver qcow2 --live`],
        ["detach", "detach-disk alpha sda --live"],
        ["internal snapshot", "snapshot-create-as alpha inside", "snapshot-delete alpha inside"],
        ["external snapshot", "snapshot-create-as alpha one --disk-only --no-metadata"],
        ["commit", "blockcommit alpha vda --active --wait --pivot"],
        ["another snapshot", "snapshot-create-as alpha two --disk-only --no-metadata"],
        ["cancelled commit", "blockcommit alpha vda --active --wait", "blockjob alpha vda --abort"],
        ["copy", `blockcopy alpha vda ${directory}/copy.qcow2 --wait --pivot --transient-job`],
        [
          "cancelled copy",
          `blockcopy alpha vda ${directory}/copy2.qcow2 --wait --transient-job`,
          "blockjob alpha vda --abort",
        ],
        ["pull", "blockpull alpha vda --wait"],
        ["reset", "reset alpha"],
      ];
      for (const [name, ...lines] of steps) {
        await t.step(name, async () => {
          const found = await alarms(lab, async () => {
            for (const line of lines) await virsh(line);
          });
          assert.deepEqual(found, []);
        });
      }
      await t.step("libvirtd's restart", async () => {
        const found = await alarms(lab, async () => {
          await lab.stopLibvirtd();
          await lab.startLibvirtd();
        });
        assert.deepEqual(found, []);
      });
      assert.deepEqual(await diagnosis(lab, "guests"), [
        "ok: The guests that run have their disks locked: 'alpha'",
      ]);
      await t.step("destroy", async () => {
        assert.deepEqual(await alarms(lab, () => virsh("destroy alpha")), []);
      });
      assert.deepEqual(await diagnosis(lab, "guests"), []);
    },
  );
}

Deno.test("doctor does not expect locks of a guest that has panicked", async () => {
  await using lab = await LibvirtLab.start(OUR_DAEMON);
  const disk = await lab.createDisk("panic.raw", "raw");
  // The boot sector writes to the port of QEMU's panic device: mov dx, 0x505; mov al, 1; out dx, al; hlt; jmp
  // back.
  const sector = new Uint8Array(512);
  sector.set([0xba, 0x05, 0x05, 0xb0, 0x01, 0xee, 0xf4, 0xeb, 0xfd]);
  sector.set([0x55, 0xaa], 510);
  const file = await Deno.open(disk, { write: true });
  await file.write(sector);
  file.close();
  await define(lab, disk, "raw");
  const found = await alarms(lab, async () => {
    await lab.virsh("start", "alpha");
    await until(
      "the guest's panic",
      async () => (await lab.virsh("domstate", "alpha", "--reason")).trim() === "crashed (panicked)",
    );
  });
  assert.deepEqual(found, []);
  assert.equal(await runOk(lab, [OUR_DAEMON, "locks"]), "No locks.\n");
});

Deno.test(
  "doctor finds a guest that runs without locks, and its advice helps",
  async () => {
    await using lab = await LibvirtLab.create();
    const conf = lab.outside("/etc/libvirt/qemu.conf");
    const text = await Deno.readTextFile(conf);
    await Deno.writeTextFile(conf, text.replace("lock_manager", "#lock_manager"));
    await lab.startVirtlockd(OUR_DAEMON);
    await lab.startLibvirtd();
    const second = await lab.createDisk("b.qcow2");
    await define(lab, await lab.createDisk("a.qcow2"));
    await lab.virsh("start", "alpha");
    const pid = await lab.guestPid("alpha");
    assert.deepEqual(await diagnosis(lab, "lock manager"), [
      "problem: /etc/libvirt/qemu.conf sets no lock_manager: guests start without any lock",
    ]);
    assert.deepEqual(await diagnosis(lab, "guests"), [
      `problem: Guest 'alpha' (process ${pid}) runs without any lock`,
    ]);

    await Deno.writeTextFile(conf, text);
    await lab.stopLibvirtd();
    await lab.startLibvirtd();
    await lab.virsh("attach-disk", "alpha", second, "sda", "--targetbus", "scsi", "--subdriver", "qcow2");
    assert.deepEqual(await diagnosis(lab, "guests"), [
      `problem: Guest 'alpha' (process ${pid}) may write ${lab.directory}/a.qcow2 without a lock on it`,
    ]);
    await lab.virsh("detach-disk", "alpha", "sda");
    assert.deepEqual(await diagnosis(lab, "guests"), [
      `problem: Guest 'alpha' (process ${pid}) runs without any lock`,
    ]);
    await lab.virsh("suspend", "alpha");
    await lab.virsh("resume", "alpha");
    assert.deepEqual(await diagnosis(lab, "guests"), [
      "ok: The guests that run have their disks locked: 'alpha'",
    ]);
  },
);

Deno.test("doctor leaves the guests of another user's session alone", async () => {
  await using lab = await LibvirtLab.start(OUR_DAEMON);
  const home = `${lab.directory}/home`;
  const disk = await lab.createDisk("session.qcow2");
  await runOk(lab, ["install", "-d", "-m", "0700", "-o", String(NOBODY), home, `${home}/run`]);
  await runOk(lab, ["chown", String(NOBODY), disk]);
  await runOk(lab, ["chmod", "0755", lab.directory]);
  const as = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
  const env = { HOME: home, XDG_RUNTIME_DIR: `${home}/run`, PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };
  const user = (argv: readonly string[]) => runOk(lab, [...as, ...argv], { env });
  await user(["libvirtd", "-d"]);
  const virsh = (...args: string[]) => ["virsh", "-q", "-c", "qemu:///session", ...args];
  await until(
    "the session's libvirtd",
    async () => (await lab.run([...as, ...virsh("list")], { env })).code === 0,
  );
  const xml = guestXml({ name: "mine", uuid: UUID, disks: [{ path: disk, format: "qcow2" }] });
  await Deno.writeTextFile(`${lab.directory}/mine.xml`, xml);
  await user(virsh("create", `${lab.directory}/mine.xml`));
  assert.match(await user(virsh("list")), /mine +running/);
  assert.deepEqual(await diagnosis(lab, "guests"), []);
});

Deno.test(
  "doctor never calls a guest unlocked that is migrated, on neither host",
  async () => {
    await using here = await LibvirtLab.create();
    await using there = await LibvirtLab.create({ indirectDisks: true });
    for (const [lab, uuid] of [[here, UUID], [there, UUID.replace(/^1/, "2")]] as const) {
      await Deno.writeTextFile(lab.outside("/etc/libvirt/libvirtd.conf"), `host_uuid = "${uuid}"\n`);
      await lab.startVirtlockd(OUR_DAEMON);
      await lab.startLibvirtd();
    }
    await define(here, await here.createDisk("a.qcow2"));
    await here.virsh("start", "alpha");
    const migrate = (from: LibvirtLab, to: LibvirtLab) => {
      const socket = to.outside("/run/libvirt/libvirt-sock");
      const options = ["--live", "--unsafe", "--undefinesource", "--persistent"];
      const uris = [`qemu+unix:///system?socket=${socket}`, `unix://${here.directory}/migration.sock`];
      return from.run(["virsh", "-q", "migrate", ...options, "alpha", ...uris]);
    };
    const watched = async (from: LibvirtLab, to: LibvirtLab) => {
      const found: string[] = [];
      let ended: Output | undefined;
      found.push(
        ...await alarms(from, async () => {
          found.push(
            ...await alarms(to, async () => {
              ended = await migrate(from, to);
            }),
          );
        }),
      );
      return { code: ended?.code, stderr: ended?.stderr, found };
    };
    const well = { code: 0, stderr: "", found: [] };
    assert.deepEqual(await watched(here, there), well);
    assert.deepEqual(await watched(there, here), well);
    const content = ["ok: The guests that run have their disks locked: 'alpha'"];
    assert.deepEqual(await diagnosis(here, "guests"), content);

    // A target that cannot lock refuses at the very end, when the source has given its locks up; it takes
    // them again.
    await runOk(there, ["rm", "-r", there.diskLockspace]);
    await runOk(there, ["touch", there.diskLockspace]);
    const refused = await watched(here, there);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr ?? "", /Not a directory/);
    assert.deepEqual(refused.found, []);
    assert.deepEqual(await diagnosis(here, "guests"), content);
    assert.deepEqual(await diagnosis(there, "guests"), []);
  },
);

Deno.test("doctor names what a guest of a cluster's host has that other hosts may use", async () => {
  await using lab = await LibvirtLab.start(OUR_DAEMON);
  await define(lab, await lab.createDisk("a.qcow2"));
  await lab.virsh("start", "alpha");
  await lab.virsh("snapshot-create-as", "alpha", "one", "--disk-only", "--no-metadata");
  assert.deepEqual(await diagnosis(lab, "cluster disks"), []);
  const endpoints = 'cluster_endpoints = [ "https://etcd1:2379" ]\n';
  await Deno.writeTextFile(lab.outside("/etc/libvirt/virtlockd.conf"), endpoints);
  assert.deepEqual(await diagnosis(lab, "cluster disks"), [
    `warning: Guest 'alpha' has what other hosts may use at the same time: ${lab.directory}/a.one (a file, and ` +
    `cluster_lockspaces does not name a file_lockspace_dir), ${lab.directory}/a.qcow2 (a backing file, which libvirt ` +
    "never locks)",
  ]);
});
