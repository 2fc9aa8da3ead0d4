import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { host, runOk } from "./support/command.ts";
import { HangingMount } from "./support/hanging_mount.ts";
import { pidIn } from "./support/pid_file.ts";
import { OUR_STORAGE_DAEMON, StoragePeer } from "./support/storage_peer.ts";
import { Scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

// What a host of storage pools goes through: another daemon, a crash in the middle of a copy, storage that
// hangs or goes away.

const POOL = ["one", "dir", "--target"];

/** Files of a directory, sorted. */
function names(directory: string): string[] {
  return [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
}

Deno.test("a host goes from libvirt's daemon to this one and back, with its pools active", async () => {
  await using peer = await StoragePeer.start("libvirt");
  const path = `${peer.directory}/one`;
  await peer.virsh("pool-define-as", ...POOL, path);
  await peer.virsh("pool-build", "one");
  await peer.virsh("pool-start", "one");
  await peer.virsh("pool-autostart", "one");
  await peer.virsh("vol-create-as", "one", "a.qcow2", "1M", "--format", "qcow2");
  await peer.virsh(
    "pool-create-as",
    "transient",
    "dir",
    "--target",
    `${peer.directory}/transient`,
    "--build",
  );
  // How full the host's file system is, others decide too.
  const seen = async () =>
    (await peer.virsh("pool-list", "--all", "--persistent") + await peer.virsh("pool-list", "--transient") +
      await peer.virsh("pool-dumpxml", "one") + await peer.virsh("vol-list", "one"))
      .replace(/(<(?:allocation|available) unit='bytes'>)\d+/g, "$1SIZE");
  await peer.virsh("pool-refresh", "one");
  const before = await seen();
  await peer.stop("libvirt");
  await peer.serve("ours");
  assert.equal(await seen(), before);
  await peer.virsh("vol-create-as", "one", "b.img", "1M");
  await peer.stop("ours");
  await peer.serve("libvirt");
  assert.equal((await peer.virsh("pool-list", "--name", "--transient")).trim(), "transient");
  assert.match(await peer.virsh("vol-list", "one"), / a\.qcow2 +.*\n b\.img +/);
  assert.deepEqual(names(path), ["a.qcow2", "b.img"]);
});

Deno.test("while libvirt's daemon serves the pools, connections are refused with its process, and it goes on", async () => {
  await using peer = await StoragePeer.start("libvirt");
  const pid = (await Deno.readTextFile(peer.outside("/run/libvirtd.pid"))).trim();
  await runOk(peer, [new URL("../../virtstoraged", import.meta.url).pathname, "-d"]);
  // The client takes the storage daemon's socket, because it is there.
  const refused = await until("the daemon to answer", async () => {
    const said = await peer.virshError("pool-list");
    return said.includes("served by another daemon") ? said : undefined;
  });
  assert.match(refused, new RegExp(`are served by another daemon \\(process ${pid}\\)`));
  await peer.stop("ours");
  assert.equal((await peer.virsh("pool-list", "--name")).trim(), "");
});

Deno.test("a copy that a crash of the daemon ends is no volume, goes on nowhere, and is cleaned up", async () => {
  using scratch = new Scratch();
  await using mount = await HangingMount.mount(scratch.path, "fuse");
  await using peer = await StoragePeer.create("ours", mount.point);
  await peer.serve("ours");
  await Deno.writeFile(`${mount.backing}/big.img`, new Uint8Array(100 << 20).fill(120));
  await peer.virsh("pool-define-as", ...POOL, mount.point);
  await peer.virsh("pool-start", "one");
  // It takes longer than anything here.
  await mount.slow(1 << 20);
  const clone = peer.run([
    "virsh",
    "-q",
    "-c",
    "storage:///system",
    "vol-clone",
    "big.img",
    "copy.img",
    "one",
  ]);
  await until(
    "the copy to have begun",
    () => names(mount.backing).some((name) => name.startsWith(".virtstoraged-new-")),
  );
  const pid = await pidIn(peer.outside("/run/virtstoraged.pid"));
  Deno.kill(pid, "SIGKILL");
  assert.notEqual((await clone).code, 0);
  await peer.serve("ours");
  assert.equal(await peer.virsh("vol-list", "one").then((text) => text.includes("copy.img")), false);
  await until("what is left to be gone", async () => {
    await peer.virsh("pool-refresh", "one");
    return names(mount.backing).join() === "big.img";
  });
});

Deno.test("a volume whose upload a crash has ended is neither downloaded nor copied until it is uploaded again", async () => {
  await using peer = await StoragePeer.start("ours");
  const path = `${peer.directory}/one`;
  await peer.virsh("pool-create-as", ...POOL, path, "--build");
  await peer.virsh("vol-create-as", "one", "a.img", "1M");
  const pipe = `${peer.directory}/pipe`;
  // The upload goes on for as long as the test holds the other end of the pipe.
  await runOk(peer, ["mkfifo", pipe]);
  const source = await Deno.open(pipe, { read: true, write: true });
  const upload = peer.run(["virsh", "-q", "-c", "storage:///system", "vol-upload", "a.img", pipe, "one"]);
  // virsh sends nothing before it has read a whole packet.
  const data = new Uint8Array(1 << 19).fill(120);
  for (let written = 0; written < data.length;) written += await source.write(data.subarray(written));
  await until("the upload to have begun", async () => {
    const { stdout } = await peer.run([OUR_STORAGE_DAEMON, "jobs"]);
    return stdout.includes("upload");
  });
  await until("the volume to have its mark", async () => {
    const { stdout } = await peer.run([
      "python3",
      "-c",
      "import os,sys; print(os.listxattr(sys.argv[1]))",
      `${path}/a.img`,
    ]);
    return stdout.includes("user.virtstoraged.upload");
  });
  Deno.kill(await pidIn(peer.outside("/run/virtstoraged.pid")), "SIGKILL");
  source.close();
  assert.notEqual((await upload).code, 0);
  await peer.serve("ours");
  const half = /volume 'a\.img' is not whole: an upload to it, or its wiping, did not come to its end/;
  assert.match(await peer.virshError("vol-download", "a.img", "/dev/null", "one"), half);
  assert.match(await peer.virshError("vol-clone", "a.img", "b.img", "one"), half);
  const whole = `${peer.directory}/whole`;
  await Deno.writeTextFile(whole, "whole");
  await peer.virsh("vol-upload", "a.img", whole, "one");
  await peer.virsh("pool-refresh", "one");
  await peer.virsh("vol-clone", "a.img", "b.img", "one");
});

Deno.test("storage that hangs stops its own pool only", async () => {
  using scratch = new Scratch();
  await using mount = await HangingMount.mount(scratch.path, "fuse");
  await using peer = await StoragePeer.create("ours", mount.point);
  await Deno.mkdir(peer.outside("/etc/libvirt"), { recursive: true });
  await Deno.writeTextFile(peer.outside("/etc/libvirt/virtstoraged.conf"), "storage_timeout = 2\n");
  await peer.serve("ours");
  await peer.virsh("pool-create-as", "hung", "dir", "--target", mount.point);
  await peer.virsh("pool-create-as", "well", "dir", "--target", `${peer.directory}/well`, "--build");
  await Deno.writeTextFile(`${mount.backing}/a.img`, "data");
  await peer.virsh("pool-refresh", "hung");
  await peer.virsh("vol-create-as", "well", "b.img", "1M");
  await mount.hang();
  try {
    const waiting = peer.run(["virsh", "-q", "-c", "storage:///system", "vol-info", "a.img", "hung"]);
    await peer.virsh("vol-info", "b.img", "well");
    await peer.virsh("pool-refresh", "well");
    await peer.virsh("vol-create-as", "well", "c.img", "1M");
    assert.match((await waiting).stderr, /the storage of pool '\w+' \(\S+\) does not answer/);
    assert.deepEqual((await peer.virsh("pool-list", "--name")).trim().split(/\s+/).sort(), ["hung", "well"]);
  } finally {
    await mount.goOn();
  }
  await until(
    "the storage to be well again",
    async () =>
      (await peer.run(["virsh", "-q", "-c", "storage:///system", "vol-info", "a.img", "hung"])).code === 0,
  );
});

Deno.test("a pool whose mount is gone is inactive, and nothing is written below it", async () => {
  await using peer = await StoragePeer.start("ours");
  const path = `${peer.directory}/mounted`;
  await runOk(peer, ["sh", "-c", 'mkdir "$1"; mount -t tmpfs lab "$1"', "sh", path]);
  await peer.virsh("pool-create-as", "lost", "dir", "--target", path);
  await peer.virsh("vol-create-as", "lost", "a.img", "1M");
  await runOk(peer, ["umount", path]);
  const refused = await peer.virshError("vol-create-as", "lost", "b.img", "1M");
  assert.match(refused, /is not on the storage that the pool was started with/);
  assert.deepEqual(names(path), []);
  assert.equal((await peer.virsh("pool-list", "--name", "--all")).trim(), "");
});

Deno.test("a link that others may have put into a pool's directory leads nowhere", async () => {
  await using peer = await StoragePeer.start("ours");
  const { directory } = peer;
  await runOk(peer, [
    "sh",
    "-ec",
    'chmod 711 "$1"; cd "$1"; mkdir -m 1777 pool; echo precious >victim; ln -s ../victim pool/l; echo own >pool/own; ' +
    "qemu-img create -q -f qcow2 image 1M; ln -s ../image pool/i; ln -s /dev/null pool/device",
    "sh",
    directory,
  ]);
  await peer.virsh("pool-create-as", "open", "dir", "--target", `${directory}/pool`);
  const format = async (name: string) =>
    (await peer.virsh("vol-dumpxml", name, "open", "--xpath", "//target/format")).trim();
  // Not even what it is can be learned through a link; what is no file is not touched.
  assert.equal(await format("i"), '<format type="raw"/>');
  assert.doesNotMatch(await peer.virsh("vol-list", "open"), /device/);
  await runOk(peer, ["sh", "-c", 'rm "$1"/pool/i "$1"/pool/device', "sh", directory]);
  const commands = [
    ["vol-wipe", "l", "open"],
    ["vol-wipe", "l", "open", "--algorithm", "nnsa"],
    ["vol-resize", "l", "1M", "open"],
    ["vol-upload", "l", "/etc/hostname", "open"],
    ["vol-download", "l", `${directory}/out`, "open"],
    ["vol-clone", "l", "copy", "open"],
  ];
  const refusal = /volume 'l' is a symbolic link, and others may write into '.*': it is not followed/;
  for (const command of commands) {
    assert.match(await peer.virshError(...command), refusal);
    await peer.virsh(...command.map((word) => word === "l" ? "own" : word));
  }
  assert.equal(await Deno.readTextFile(`${directory}/victim`), "precious\n");
  await peer.virsh("vol-delete", "l", "open");
  assert.deepEqual(names(`${directory}/pool`), ["copy", "own"]);
});

Deno.test("a device that a process has open for writing is not formatted, whatever is asked for", async () => {
  await using peer = await StoragePeer.start("ours");
  const { directory } = peer;
  await runOk(peer, ["truncate", "-s", "64M", `${directory}/disk`]);
  const device = (await runOk(peer, ["losetup", "--find", "--show", `${directory}/disk`])).trim();
  try {
    const source = ["--source-dev", device, "--source-format", "ext4", "--target", `${directory}/f`];
    await peer.virsh("pool-define-as", "f", "fs", ...source);
    const held = `${directory}/held`;
    const hold = 'exec 9<>"$1"; : >"$2"; while [ -e "$2" ]; do sleep 0.1; done';
    const holder = peer.run(["sh", "-c", hold, "sh", device, held]);
    await until("the device to be open", () => existsSync(held));
    for (const how of ["--no-overwrite", "--overwrite"]) {
      assert.match(
        await peer.virshError("pool-build", "f", how),
        /Requested operation is not valid: device '\S+' is in use: process \d+ has it open for writing$/m,
      );
    }
    await Deno.remove(held);
    await holder;
    await peer.virsh("pool-build", "f", "--no-overwrite");
  } finally {
    await runOk(peer, ["losetup", "--detach", device]);
  }
});

Deno.test("a client of another host reaches it through virt-ssh-helper", async () => {
  await using peer = await StoragePeer.start("ours");
  const { directory } = peer;
  // What ssh would run there.
  await Deno.writeTextFile(`${directory}/ssh`, "#!/bin/sh\nexec virt-ssh-helper storage:///system\n", {
    mode: 0o755,
  });
  const uri = `storage+ext://there/system?command=${directory}/ssh`;
  const virsh = (...args: string[]) => runOk(peer, ["virsh", "-q", "-c", uri, ...args]);
  await virsh("pool-create-as", "p", "dir", "--target", `${directory}/p`, "--build");
  await virsh("vol-create-as", "p", "v", "1M");
  await Deno.writeFile(`${directory}/data`, new Uint8Array(1 << 20).fill(7));
  await virsh("vol-upload", "v", `${directory}/data`, "p");
  await virsh("vol-download", "v", `${directory}/again`, "p");
  assert.deepEqual(await Deno.readFile(`${directory}/again`), await Deno.readFile(`${directory}/data`));
  assert.match(await runOk(peer, [OUR_STORAGE_DAEMON, "metrics"]), /procedure="StorageVolDownload"\} 1$/m);
});

Deno.test("an ordinary user's virsh finds the daemon of that user's session", async () => {
  using scratch = new Scratch();
  const place = scratch.file("session");
  await runOk(host, ["mkdir", "-p", "-m", "0700", `${place}/run`]);
  const env = [`XDG_RUNTIME_DIR=${place}/run`, `XDG_CONFIG_HOME=${place}`, `XDG_CACHE_HOME=${place}`];
  const asUser = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "env", ...env];
  await runOk(host, [...asUser, OUR_STORAGE_DAEMON, "-d"]);
  try {
    const virsh = (...args: string[]) =>
      runOk(host, [...asUser, "virsh", "-q", "-c", "storage:///session", ...args]);
    await virsh("pool-create-as", "one", "dir", "--target", `${place}/one`, "--build");
    await virsh("vol-create-as", "one", "a.img", "1M");
    assert.equal((await virsh("vol-list", "one")).trim().replace(/\s+/g, " "), `a.img ${place}/one/a.img`);
    assert.deepEqual(names(`${place}/one`), ["a.img"]);
  } finally {
    // It removes files of its own at its end.
    const end = "pid=$(cat $1); kill $pid; while kill -0 $pid 2>/dev/null; do sleep 0.1; done";
    await runOk(host, ["sh", "-c", end, "sh", `${place}/run/libvirt/virtstoraged.pid`]);
  }
});
