import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { namedDisk } from "../../../../src/lockd/cli/named_disk.ts";
import { identityOf, procLockText } from "../../../../src/lockd/lockspace/file_identity.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import { emptyStatus, type Sys } from "../../../../src/os/sys.ts";
import { lock } from "./cli_fixture.ts";

/** A directory with a disk, two more names of it and another disk. */
class Disks implements Disposable {
  readonly directory = Deno.makeTempDirSync({ prefix: "virtlockd-test-" });
  readonly disk = `${this.directory}/disk[1] a*.img`;
  readonly sys: Sys = {
    ...linuxSys(),
    readlink: (path) => path === "/proc/self/cwd" ? this.directory : linuxSys().readlink(path),
  };

  constructor() {
    Deno.writeTextFileSync(this.disk, "");
    Deno.writeTextFileSync(`${this.directory}/other`, "");
    Deno.symlinkSync(this.disk, `${this.directory}/symbolic`);
    Deno.linkSync(this.disk, `${this.directory}/hard`);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.directory, { recursive: true });
  }

  /** The names of the disk, from its directory and from everywhere. */
  names(): string[] {
    const { directory } = this;
    return [
      this.disk,
      `${directory}/symbolic`,
      `${directory}/hard`,
      `${directory}//./hard`,
      `${directory}/../${directory.slice(directory.lastIndexOf("/") + 1)}/hard`,
    ];
  }
}

function identity(path: string): string {
  const status = emptyStatus();
  assert.equal(linuxSys().stat(path, status), 0);
  return procLockText(identityOf(status));
}

Deno.test("namedDisk() finds the lock on a file by each of its names", async () => {
  using disks = new Disks();
  const { sys, disk, directory } = disks;
  const held = lock({ id: 1, lockspace: "", resource: disk, path: disk, file: identity(disk) });
  const { file: _file, ...awaited } = held;
  for (const name of disks.names()) {
    assert.equal((await namedDisk(sys, name))(held), true, name);
    assert.equal((await namedDisk(sys, name))(awaited), true, name);
  }
  for (const name of [`${directory}/other`, `${directory}/none`, directory, "disk"]) {
    assert.equal((await namedDisk(sys, name))(held), false, name);
  }
});

Deno.test("namedDisk() finds the lock on a disk whose path it is a hash of by each name of the disk", async () => {
  using disks = new Disks();
  const { sys, disk, directory } = disks;
  const resource = createHash("sha256").update(disk).digest("hex");
  const unknown = lock({ id: 1, resource, path: `/ls/${resource}`, file: "08:01:1" });
  for (const name of disks.names()) {
    assert.equal((await namedDisk(sys, name))({ ...unknown, disk }), true, name);
    assert.equal((await namedDisk(sys, name))(unknown), name === disk, name);
  }
  assert.equal((await namedDisk(sys, `${directory}/other`))({ ...unknown, disk }), false);
});

Deno.test("namedDisk() takes a relative path from where the command is given", async () => {
  using disks = new Disks();
  const { sys, disk } = disks;
  // Not the directory of the test, so the kernel cannot look there for it.
  const gone = `${disks.directory}/gone`;
  const held = lock({ id: 1, lockspace: "", resource: gone, path: gone });
  for (const name of ["gone", "./gone", ".//gone"]) {
    assert.equal((await namedDisk(sys, name))(held), true, name);
  }
  const named = await namedDisk(sys, "hard");
  assert.equal(named(lock({ id: 2, lockspace: "", resource: disk, path: disk })), true);
});

Deno.test("namedDisk() looks at nothing on storage of others, where the disk is this host's own", async () => {
  using disks = new Disks();
  const looked: string[] = [];
  const sys: Sys = {
    ...disks.sys,
    open: (path, flags, mode) => linuxSys().open(path.replace("/proc/self/mountinfo", table), flags, mode),
    stat: (path, into) => {
      looked.push(path);
      return linuxSys().stat(path, into);
    },
  };
  const table = `${disks.directory}/mountinfo`;
  Deno.writeTextFileSync(
    table,
    "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:40 / /srv/nfs rw - nfs4 server:/x rw\n",
  );
  const named = await namedDisk(sys, disks.disk);
  assert.equal(
    named(lock({ id: 1, path: "/ls/r1", disk: "/srv/nfs/b" } as Parameters<typeof lock>[0])),
    false,
  );
  assert.deepEqual(looked, [disks.disk]);
});
