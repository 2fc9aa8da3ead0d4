import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { refusalOf } from "../support/lock_refusal.ts";
import { locksOf, openedCluster, PlayedHost } from "../support/played_host.ts";
import { reExec } from "../support/re_exec.ts";
import { TestProcess } from "../support/test_process.ts";
import { until } from "../support/until.ts";

/** ACQUIRE_RESOURCE's flag: the file is made on demand. */
const AUTOCREATE = 2;
/** Longer than anything here may take, in ms. */
const PATIENCE = 60_000;

Deno.test("a paused guest whose kept lock was given up is not resumed either by a host that locks for itself alone then", async () => {
  const etcd = openedCluster("scsi");
  await using a = await PlayedHost.start(etcd, "a");
  const { place, spaces: { scsi }, socket } = a;
  // As libvirt calls the lock of a file, which tells the disk.
  const disk = `${place.directory}/disk`;
  Deno.writeTextFileSync(disk, "");
  const name = createHash("sha256").update(disk).digest("hex");
  const script = `exec 3<>${disk}; exec sleep infinity`;
  await using process = new TestProcess(
    place.command(["/bin/sh", "-c", script]),
    place.env,
    place.directory,
  );
  const { pid } = process;
  await until("its disk to be open", () => Deno.readTextFileSync(`/proc/${pid}/comm`) === "sleep\n");
  await using libvirtd = await LockClient.connect(socket);
  await libvirtd.register(testOwner(pid));
  await libvirtd.acquire(scsi, name, AUTOCREATE);
  await libvirtd.release(scsi, name);
  assert.equal(locksOf(etcd), `scsi/${name}`);
  const { stdout } = await a.daemon.command("status", "--json");
  const { sections: { cluster: { session } } }: { sections: { cluster: { session: string } } } = JSON.parse(
    stdout,
  );
  const left = await a.command("leave", session, "--force");
  assert.equal(left.code, 0, left.stderr);
  await until("it to hear of that", async () => (await a.shown()).state === "lost", PATIENCE);
  // Any other host may have the disk by now.
  assert.equal(locksOf(etcd), "");
  place.writeConfig("");
  await reExec(a.daemon);
  assert.match(
    await refusalOf(libvirtd.acquire(scsi, name, AUTOCREATE)) ?? "",
    /was in use by domain '\(not known any more\)' .* while domain '.*' .* was paused/,
  );
});
