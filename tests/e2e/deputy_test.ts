import assert from "node:assert/strict";
import { linuxSys } from "../../src/os/linux.ts";
import { identityOfOpen } from "../../src/lockd/storage/open_identity.ts";
import { isFree } from "../support/kernel.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { StorageHost } from "../support/storage_host.ts";
import { TestProcess } from "../support/test_process.ts";
import { until } from "../support/until.ts";
import { host, runOk, type Site } from "./support/command.ts";
import { compileHangfs, HangingMount } from "./support/hanging_mount.ts";
import { LibvirtLab, OUR_DAEMON } from "./support/libvirt_lab.ts";
import { LockService } from "./support/lock_service.ts";
import { Machine } from "./support/nspawn.ts";
import { debianPackage, install } from "./support/packages.ts";

// FUSE file systems that serve nobody but the user who has mounted them, root included. Needs root and
// /dev/fuse.

const SOCKET = "/run/libvirt/virtlockd-sock";
const NOBODY = 65534;
const EACCES = 13;

function inDirectory(test: (directory: string) => Promise<void>): () => Promise<void> {
  return async () => {
    const directory = Deno.makeTempDirSync({ prefix: "deputy-e2e-" });
    try {
      await test(directory);
    } finally {
      Deno.removeSync(directory, { recursive: true });
    }
  };
}

/** An image of the mount's user. */
function image(mount: HangingMount, name: string): string {
  Deno.writeTextFileSync(`${mount.backing}/${name}`, "image", { mode: 0o600 });
  Deno.chownSync(`${mount.backing}/${name}`, NOBODY, NOBODY);
  return `${mount.point}/${name}`;
}

for (const locks of ["kernel", "filesystem"] as const) {
  Deno.test(
    `an image on a FUSE mount of another user is locked and released, with locks of the ${locks}`,
    inDirectory(async (directory) => {
      await using mount = await HangingMount.mount(directory, "a", locks, NOBODY);
      using host = new StorageHost(linuxSys());
      const path = image(mount, "x");
      assert.throws(() => Deno.statSync(path), Deno.errors.PermissionDenied);
      const outcome = host.lockImage(path);
      assert.ok(outcome.kind === "granted", JSON.stringify(outcome));
      assert.deepEqual(identityOfOpen(linuxSys(), outcome.fd), outcome.identity);
      assert.equal(host.lockImage(path).kind, "busy");
      assert.equal(host.lockImage(image(mount, "y")).kind, "granted");
      const released = host.turning.ask((done) =>
        host.storage.files.unlock(
          { path, fd: outcome.fd, lock: "ofd", shared: false, autocreate: false, force: false },
          outcome.identity,
          () => {},
          (failure) => done({ failure }),
        )
      );
      assert.deepEqual(released, { failure: undefined });
      assert.equal(host.lockImage(path).kind, "granted");
    }),
  );
}

Deno.test(
  "what its user may not open either is refused, and says who was asked",
  inDirectory(async (directory) => {
    await using mount = await HangingMount.mount(directory, "a", "kernel", NOBODY);
    using host = new StorageHost(linuxSys());
    const path = image(mount, "x");
    Deno.chownSync(`${mount.backing}/x`, 0, 0);
    assert.deepEqual(host.lockImage(path), {
      kind: "failed",
      action: `Unable to open resource ${path}, neither as root nor as user ${NOBODY}`,
      errno: EACCES,
    });
  }),
);

Deno.test(
  "a mount that hangs for the user who has mounted it is shown as one that hangs",
  inDirectory(async (directory) => {
    await using mount = await HangingMount.mount(directory, "a", "kernel", NOBODY);
    using host = new StorageHost(linuxSys());
    const path = image(mount, "x");
    const other = image(mount, "y");
    assert.equal(host.lockImage(path).kind, "granted");
    await mount.hang("open");
    host.limit = 1000;
    // Root is refused at once, as ever; who hangs is the other user.
    const outcome = host.lockImage(other);
    assert.ok(outcome.kind === "storage", JSON.stringify(outcome));
    const [place] = host.storage.status.filter((status) => status.mount?.point === mount.point);
    assert.deepEqual([place?.state, place?.waiting], ["hung", 0]);
    assert.equal(typeof place?.since, "number");
    await mount.goOn();
  }),
);

Deno.test(
  "no file is made as another user",
  inDirectory(async (directory) => {
    await using mount = await HangingMount.mount(directory, "a", "kernel", NOBODY);
    using host = new StorageHost(linuxSys());
    assert.deepEqual(host.lock(`${mount.point}/x`), {
      kind: "failed",
      action: `Unable to open/create resource ${mount.point}/x`,
      errno: EACCES,
    });
    assert.deepEqual([...Deno.readDirSync(mount.backing)], []);
  }),
);

/** The state of an image's lock in a daemon's list; undefined when it holds none. */
async function stateOf(site: Site, path: string): Promise<string | undefined> {
  const program = site instanceof Machine ? "virtlockd" : OUR_DAEMON;
  const locks: { resource: string; state: string }[] = JSON.parse(
    await runOk(site, [program, "locks", "--json"]),
  );
  return locks.find(({ resource }) => resource === path)?.state;
}

Deno.test(
  "root's daemon takes such a lock again after a crash without a store, and keeps it over SIGUSR1",
  inDirectory(async (directory) => {
    await using mount = await HangingMount.mount(directory, "a", "kernel", NOBODY);
    await using lab = await LibvirtLab.create({}, mount.point);
    const path = image(mount, "x");
    const first = await lab.startVirtlockd(OUR_DAEMON);
    await using client = await LockClient.connect(lab.outside(SOCKET));
    await client.register(testOwner(Deno.pid, "guest"));
    await client.acquire("", path);
    Deno.kill(first, "SIGKILL");
    await lab.untilGone(first, "virtlockd");
    // A helper that it was just starting has a copy of its PID file for a moment longer.
    await until("the PID file to be free", () => Promise.resolve(isFree(lab.outside("/run/virtlockd.pid"))));
    const next = await lab.startVirtlockd(OUR_DAEMON);
    await until("the lock to be taken again", async () => await stateOf(lab, path) === "held");
    await using other = await LockClient.connect(lab.outside(SOCKET));
    await other.register(testOwner(next, "other"));
    Deno.kill(next, "SIGUSR1");
    await until("the re-exec", async () => {
      return JSON.parse(await runOk(lab, [OUR_DAEMON, "status", "--json"])).reExecs === 1;
    });
    await assert.rejects(other.acquire("", path), /is locked by domain 'guest'/);
    assert.equal(await stateOf(lab, path), "held");
    await other.register(testOwner(Deno.pid, "guest"));
    await other.release("", path);
    assert.equal(await stateOf(lab, path), undefined);
  }),
);

Deno.test("systemd starts the process that becomes another user, and the unit's daemon keeps the lock", async (t) => {
  await using machine = await Machine.boot();
  const service = new LockService(machine);
  await install(machine, await debianPackage());
  const program = await compileHangfs(Deno.makeTempDirSync({ prefix: "deputy-e2e-" }));
  await machine.copyIn(program, "/usr/local/sbin/hangfs");
  const [library = ""] = /\/\S*libfuse3\S*/.exec(await runOk(host, ["ldd", program])) ?? [];
  await machine.copyIn(library, "/usr/lib/libfuse3.so.3");
  await machine.sh(`mknod /dev/fuse c 10 229
    mkdir -p /srv/images /srv/backing; echo image >/srv/backing/x; chmod 600 /srv/backing/x
    chown -R ${NOBODY}:${NOBODY} /srv/images /srv/backing`);
  const hangfs = ["/usr/local/sbin/hangfs", "/srv/backing", "/srv/images", "kernel", String(NOBODY)];
  const enter = ["nsenter", `--target=${machine.init}`, "--mount", "--"];
  await using server = new TestProcess([...enter, ...hangfs], Deno.env.toObject(), "/", "piped");
  await server.stdout.match(/^mounted$/m);
  const path = "/srv/images/x";
  await using client = await LockClient.connect(machine.outside(SOCKET));
  await client.register(testOwner(1, "guest"));

  await t.step("its unit confines the daemon, which cannot become anybody itself", async () => {
    await client.acquire("", path);
    assert.equal(await stateOf(machine, path), "held");
    const [status = ""] = /^CapBnd:\t(\w+)$/m.exec(
      await machine.sh(`cat /proc/${await service.pid()}/status`),
    )?.slice(1) ?? [];
    // CAP_SETGID 6 and CAP_SETUID 7.
    assert.equal(BigInt(`0x${status}`) & 0xc0n, 0n);
    const [deputy = ""] = (await machine.sh("pgrep -u nobody -f internal-deputy")).trim().split("\n");
    const process = await machine.sh(`cat /proc/${deputy}/status`);
    assert.match(process, new RegExp(`^Uid:\t${NOBODY}\t${NOBODY}\t${NOBODY}\t${NOBODY}$`, "m"));
    assert.match(process, /^CapPrm:\t0+$/m);
    assert.match(process, /^CapEff:\t0+$/m);
  });

  for (
    const how of ["systemctl kill --kill-whom=main --signal=KILL", "systemctl restart", "systemctl reload"]
  ) {
    await t.step(`the lock is kept over ${how}`, async () => {
      const before = await service.pid();
      const { reExecs } = await service.status();
      await machine.sh(`${how} virtlockd.service`);
      await until("the next daemon", async () => {
        const pid = await service.pid();
        if (pid === 0) return false;
        if (how === "systemctl reload") return (await service.status()).reExecs === reExecs + 1;
        return pid !== before && (await service.properties("ActiveState")).ActiveState === "active";
      });
      assert.equal(await stateOf(machine, path), "held");
      await using other = await LockClient.connect(machine.outside(SOCKET));
      await other.register(testOwner(2, "other"));
      await assert.rejects(other.acquire("", path), /is locked by domain 'guest'/);
    });
  }

  await t.step("without the socket the refusal says what is missing", async () => {
    await client.release("", path);
    await machine.sh("systemctl stop virtlockd-deputy.socket; pkill -u nobody -f internal-deputy || :");
    await assert.rejects(
      client.acquire("", path),
      /Permission denied for root, and user 65534 could not be asked: no process may become user 65534 .*: Operation not permitted/,
    );
    await machine.sh("systemctl start virtlockd-deputy.socket");
    await client.acquire("", path);
  });
});
