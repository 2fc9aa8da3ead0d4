import assert from "node:assert/strict";
import { bridgeTraffic } from "../support/bridge_traffic.ts";
import { host, runOk } from "./support/command.ts";
import { installMissing } from "./support/debian_packages.ts";
import { HangingMount } from "./support/hanging_mount.ts";

// The bridge between POSIX locks and those of descriptions, on each kind of file system that can be had here,
// beside two processes that ask for the lock as often as they can. Root only.

/** Tries of each prober. */
const TRIES = 20_000;
const IMAGE_SIZE = "400M";

async function assertNobodyGetsIt(directory: string): Promise<void> {
  const { tries, grants } = await bridgeTraffic(`${directory}/disk`, TRIES);
  assert.ok(tries >= 2 * TRIES, `${tries} tries`);
  assert.equal(grants, 0);
}

/** Mounts something at a directory of its own, and unmounts it afterwards. */
async function mounted(
  mount: (point: string, scratch: string) => Promise<void>,
  test: (point: string) => Promise<void>,
): Promise<void> {
  const scratch = Deno.makeTempDirSync({ prefix: "virtlockd-bridge-" });
  const point = `${scratch}/mnt`;
  Deno.mkdirSync(point);
  try {
    await mount(point, scratch);
    try {
      await test(point);
    } finally {
      await runOk(host, ["umount", point]);
    }
  } finally {
    Deno.removeSync(scratch, { recursive: true });
  }
}

async function image(point: string, scratch: string, type: string): Promise<void> {
  const file = `${scratch}/image`;
  await runOk(host, ["truncate", "-s", IMAGE_SIZE, file]);
  await runOk(host, [`mkfs.${type}`, "-q", file]);
  await runOk(host, ["mount", "-o", "loop", file, point]);
}

const MOUNTS: Readonly<Record<string, (point: string, scratch: string) => Promise<void>>> = {
  tmpfs: async (point) => void await runOk(host, ["mount", "-t", "tmpfs", "bridge", point]),
  ext4: (point, scratch) => image(point, scratch, "ext4"),
  xfs: (point, scratch) => image(point, scratch, "xfs"),
  btrfs: (point, scratch) => image(point, scratch, "btrfs"),
  overlay: async (point, scratch) => {
    for (const name of ["lower", "upper", "work"]) Deno.mkdirSync(`${scratch}/${name}`);
    // One that has been copied up is another file than the one below.
    Deno.writeTextFileSync(`${scratch}/lower/disk`, "");
    const options = `lowerdir=${scratch}/lower,upperdir=${scratch}/upper,workdir=${scratch}/work`;
    await runOk(host, ["mount", "-t", "overlay", "-o", options, "overlay", point]);
  },
};

for (const [type, mount] of Object.entries(MOUNTS)) {
  Deno.test(`nobody gets a lock that crosses the bridge on ${type}`, async () => {
    if (type === "xfs") await installMissing(["xfsprogs"]);
    if (type === "btrfs") await installMissing(["btrfs-progs"]);
    await mounted(mount, assertNobodyGetsIt);
  });
}

for (const locks of ["kernel", "filesystem"] as const) {
  Deno.test(`nobody gets a lock that crosses the bridge on FUSE, whose locks are the ${locks}'s`, async () => {
    const directory = Deno.makeTempDirSync({ prefix: "virtlockd-bridge-" });
    try {
      await using mount = await HangingMount.mount(directory, "a", locks);
      await assertNobodyGetsIt(mount.point);
    } finally {
      Deno.removeSync(directory, { recursive: true });
    }
  });
}
