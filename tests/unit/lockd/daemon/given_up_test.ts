import assert from "node:assert/strict";
import { GivenUp, noteGivenUp } from "../../../../src/lockd/daemon/given_up.ts";
import type { Resource } from "../../../../src/lockd/lockspace/resource.ts";
import { kernel } from "../../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";
import { Scratch } from "../../../support/scratch.ts";
import { KeptLog } from "../journal/kept_log.ts";
import { holding, resource } from "../programs/lock_fixture.ts";

function table(...resources: Resource[]) {
  return { resources: () => resources.values() as Generator<Resource> };
}

Deno.test("GivenUp tells the next daemon which guests still run without their locks, once", () => {
  using scratch = new Scratch();
  const before = openDescriptors();
  const note = new GivenUp(kernel, scratch.file("note"));
  // This process lives, the other two do not.
  const mine = holding(Deno.pid, "web");
  note.save(
    table(
      resource({ id: 1, holdings: [mine] }),
      resource({ id: 2, holdings: [mine, holding(5_000_001, "gone")] }),
      resource({ id: 3, holdings: [holding(0, "xen")] }),
    ),
    1234,
    () => false,
  );
  assert.deepEqual(note.take(), { at: 1234, locks: 3, kept: 0, running: [{ name: "web", pid: Deno.pid }] });
  assert.equal(note.take(), undefined);
  assert.deepEqual(openedSince(before), []);
});

Deno.test("GivenUp does not take another process with the pid for the guest", () => {
  using scratch = new Scratch();
  const note = new GivenUp(kernel, scratch.file("note"));
  const guest = { name: "web", pid: Deno.pid, start: 1 };
  scratch.write("note", JSON.stringify({ at: 1, locks: 1, guests: [guest, { name: 7 }, null] }));
  assert.deepEqual(note.take(), { at: 1, locks: 1, kept: 0, running: [] });
});

Deno.test("GivenUp takes no process of this host for a guest whose pid is one of another namespace", () => {
  using scratch = new Scratch();
  const note = new GivenUp(kernel, scratch.file("note"));
  const inside = (name: string, pid: number, hostPid?: number) => {
    const { owner, since } = holding(pid, name);
    const place = { namespace: "4026532500", ...(hostPid === undefined ? {} : { hostPid }) };
    return { owner: { ...owner, ...place }, since };
  };
  note.save(
    table(
      resource({ id: 1, holdings: [inside("unseen", Deno.pid)] }),
      resource({ id: 2, holdings: [inside("seen", 1, Deno.pid)] }),
    ),
    1,
    () => false,
  );
  assert.deepEqual(note.take(), { at: 1, locks: 2, kept: 0, running: [{ name: "seen", pid: Deno.pid }] });
});

Deno.test("GivenUp leaves no note without locks, and reads none that is not its own", () => {
  using scratch = new Scratch();
  const note = new GivenUp(kernel, scratch.file("note"));
  note.save(table(), 1, () => false);
  assert.equal(note.take(), undefined);
  for (const text of ["", "{", "7", "{}", '{"at":"x","locks":1,"guests":[]}']) {
    scratch.write("note", text);
    assert.equal(note.take(), undefined);
  }
  Deno.symlinkSync(scratch.write("target", '{"at":1,"locks":1,"guests":[]}'), scratch.file("note"));
  assert.equal(note.take(), undefined);
});

Deno.test("noteGivenUp() says when the note cannot be written", () => {
  using scratch = new Scratch();
  const log = new KeptLog();
  noteGivenUp(
    new GivenUp(kernel, scratch.file("absent/note")),
    { table: table(resource({ id: 1 })), log, cluster: undefined },
    1,
  );
  assert.equal(log.lines.length, 1);
  assert.match(
    log.lines[0] ?? "",
    /^warning: The next daemon will not know which guests run .*: No such file/,
  );
});

Deno.test("noteGivenUp() tells what etcd has kept apart from what was given up", () => {
  using scratch = new Scratch();
  const log = new KeptLog();
  const note = new GivenUp(kernel, scratch.file("note"));
  const mine = holding(Deno.pid, "web");
  const locks = [
    resource({ id: 1, path: "/cluster/a", holdings: [mine] }),
    resource({ id: 2, path: "/cluster/b", holdings: [mine] }),
  ];
  const cluster = {
    reachOf: (path: string) => path.startsWith("/cluster/") ? "cluster" as const : "pending" as const,
  };
  noteGivenUp(note, { table: table(...locks), log, cluster }, 5);
  assert.deepEqual(note.take(), { at: 5, locks: 0, kept: 2, running: [] });
  const other = resource({ id: 3, path: "/pending/c", holdings: [mine] });
  noteGivenUp(note, { table: table(...locks, other), log, cluster }, 6);
  assert.deepEqual(note.take(), { at: 6, locks: 1, kept: 2, running: [{ name: "web", pid: Deno.pid }] });
  assert.deepEqual(log.lines, []);
});
