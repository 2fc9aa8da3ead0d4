import assert from "node:assert/strict";
import { Lockspace } from "../../../../src/lockd/lockspace/lockspace.ts";
import type { FileFailure } from "../../../../src/lockd/lockspace/file_failure.ts";
import type { Refusal } from "../../../../src/lockd/lockspace/refusal.ts";
import type { Resource } from "../../../../src/lockd/lockspace/resource.ts";
import { ResourceFiles } from "../../../../src/lockd/lockspace/resource_files.ts";
import { fileHandle } from "../../../support/file_handle.ts";

const WEB = { pid: 100, id: 1, name: "web", uuid: "11111111-2222-3333-4444-555555555555" };

const HERE = { source: "/dev/sda1", type: "ext4", point: "/", device: 2049 };

/** Two lockspaces, in which a test may put what is locked. */
class Stage {
  readonly lockspaces = new Map([["", new Lockspace("")], ["/leases", new Lockspace("/leases")]]);
  readonly asked: string[] = [];
  misplaced: Extract<Refusal, { kind: "misplaced" }> | undefined;
  notToBeMade: Refusal | undefined;
  failure: FileFailure | undefined;
  readonly files = new ResourceFiles({
    directories: {
      get: (path) => this.lockspaces.get(path),
      misplaced: () => this.misplaced,
      notToBeMade: () => this.notToBeMade,
    },
    files: {
      create: (path, followLinks, done) => {
        this.asked.push(`create ${path} ${followLinks}`);
        done(this.failure);
      },
      remove: (path, done) => {
        this.asked.push(`remove ${path}`);
        done(this.failure);
      },
    },
    report: ({ name, holdings }) => ({ name, holdings, dying: false }),
  });

  create(path: string, name: string): Refusal | undefined {
    return answered((done) => this.files.create(path, name, done));
  }

  remove(path: string, name: string): Refusal | undefined {
    return answered((done) => this.files.remove(path, name, done));
  }
}

function answered(ask: (done: (refusal?: Refusal) => void) => void): Refusal | undefined {
  const answers: (Refusal | undefined)[] = [];
  ask((refusal) => answers.push(refusal));
  assert.equal(answers.length, 1);
  return answers[0];
}

Deno.test("ResourceFiles makes and removes a file of its lockspace; only a disk's may be a link", () => {
  const stage = new Stage();
  assert.deepEqual([stage.create("/leases", "a"), stage.create("", "/disk"), stage.remove("/leases", "a")], [
    undefined,
    undefined,
    undefined,
  ]);
  assert.deepEqual(stage.asked, ["create /leases/a false", "create /disk true", "remove /leases/a"]);
});

Deno.test("ResourceFiles refuses what is in no lockspace, has a bad name, or is locked or just being locked", () => {
  const stage = new Stage();
  const leases = stage.lockspaces.get("/leases") ?? assert.fail();
  const holdings = [{ owner: WEB, since: 5 }];
  const held: Resource = {
    id: 1,
    lockspace: "/leases",
    name: "held",
    path: "/leases/held",
    shared: false,
    autocreate: false,
    holdings,
    state: { kind: "held" },
    handle: fileHandle(50),
  };
  leases.resources.set("held", held);
  leases.pending.set("asked", WEB);
  for (const ask of [stage.create.bind(stage), stage.remove.bind(stage)]) {
    assert.deepEqual(ask("/other", "a"), { kind: "lockspace-missing", path: "/other" });
    assert.equal(ask("/leases", "../b")?.kind, "bad-name");
    assert.deepEqual(ask("/leases", "held"), {
      kind: "held",
      resource: "held",
      held: { name: "held", holdings, dying: false },
    });
    assert.deepEqual(ask("/leases", "asked"), { kind: "pending", resource: "asked", owner: "web" });
  }
  assert.deepEqual(stage.asked, []);
});

Deno.test("ResourceFiles makes nothing where the directory is not what it was, but removes there", () => {
  const stage = new Stage();
  stage.misplaced = { kind: "misplaced", path: "/leases", wanted: { source: "nfs:/x" }, found: HERE };
  assert.deepEqual(stage.create("/leases", "a"), stage.misplaced);
  stage.notToBeMade = stage.misplaced;
  stage.misplaced = undefined;
  assert.deepEqual(stage.create("/leases", "a"), stage.notToBeMade);
  assert.equal(stage.remove("/leases", "a"), undefined);
  assert.deepEqual(stage.asked, ["remove /leases/a"]);
});

Deno.test("ResourceFiles answers with what the storage says", () => {
  const stage = new Stage();
  stage.failure = { kind: "storage", action: "Unable to create", reason: "it does not answer" };
  assert.deepEqual([stage.create("/leases", "a"), stage.remove("/leases", "a")], [
    stage.failure,
    stage.failure,
  ]);
});
