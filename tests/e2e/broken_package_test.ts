import assert from "node:assert/strict";
import { host, runOk } from "./support/command.ts";
import { defineGuests, REFUSED_BY_ALPHA } from "./support/guests.ts";
import { LockProber } from "./support/lock_prober.ts";
import { LockService } from "./support/lock_service.ts";
import { Machine } from "./support/nspawn.ts";
import { debianPackage, install } from "./support/packages.ts";

const TREE = new URL("../..", import.meta.url).pathname;

/**
 * A package whose runtime is a program that ends with 1: as one of another machine or for another libc would.
 */
async function brokenPackage(directory: string): Promise<string> {
  const builder = [
    Deno.execPath(),
    "run",
    "-A",
    `${TREE}packaging/package.ts`,
    "deb",
    "--runtime",
    "/bin/false",
  ];
  return (await runOk(host, [...builder, "--output", directory], { deadline: 600_000 })).trim();
}

Deno.test("a package whose program does not run here fails to install, and costs no lock", async () => {
  const directory = await Deno.makeTempDir({ prefix: "virtlockd-broken-" });
  try {
    await using machine = await Machine.boot();
    const service = new LockService(machine);
    const { libvirt, disk } = await defineGuests(machine);
    await libvirt.virsh("start", "alpha");
    const daemon = await service.pid();
    const prober = await LockProber.start(machine, disk);

    await machine.copyIn(await brokenPackage(directory), "/root/broken.deb");
    const { code, stdout } = await machine.run(["apt-get", "install", "-q", "-y", "/root/broken.deb"]);
    assert.notEqual(code, 0);
    // apt gives dpkg a terminal of its own, so both outputs come as one.
    assert.match(stdout, /deno-virtlockd: \/usr\/sbin\/virtlockd does not run on this host: /);
    assert.match(stdout, new RegExp(`virtlockd \\(process ${daemon}\\) still holds its locks`));
    assert.equal(await service.pid(), daemon);
    assert.match(await libvirt.virshError("start", "beta"), /Lockspace resource 'database' is locked\n/);

    await install(machine, await debianPackage());
    assert.equal(await service.pid(), daemon);
    assert.match(await libvirt.virshError("start", "beta"), REFUSED_BY_ALPHA);
    await prober.neverGranted(1000);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
