import assert from "node:assert/strict";
import { AskedReleases } from "../../../../src/lockd/lockspace/asked_releases.ts";
import { Lockspace } from "../../../../src/lockd/lockspace/lockspace.ts";
import { OwnedResources } from "../../../../src/lockd/lockspace/owned_resources.ts";
import { type Owner, type OwnerKey, ownerKey, UNKNOWN_UUID } from "../../../../src/lockd/lockspace/owner.ts";
import { ParkedLocks } from "../../../../src/lockd/lockspace/parked_locks.ts";
import type { Refusal } from "../../../../src/lockd/lockspace/refusal.ts";
import type { Resource } from "../../../../src/lockd/lockspace/resource.ts";
import { fileHandle } from "../../../support/file_handle.ts";

const WEB = { pid: 100, id: 1, name: "web", uuid: "11111111-2222-3333-4444-555555555555" };
const MAIL = { pid: 200, id: 2, name: "mail", uuid: "66666666-7777-8888-9999-000000000000" };

/** A disk that is locked, and releases of it that are asked for. */
class Stage {
  readonly told: string[] = [];
  /** Who waits for a change of the disk. */
  readonly waiting: { readonly again: () => void; readonly late: () => void }[] = [];
  readonly lockspace = new Lockspace("");
  readonly parked = new ParkedLocks();
  dying: OwnerKey | undefined;
  settling: OwnerKey | undefined;
  ended: OwnerKey | undefined;
  readonly resource: Resource;
  readonly #asked: AskedReleases;

  constructor(owner: Owner) {
    this.resource = {
      id: 1,
      lockspace: "",
      name: "/disk",
      path: "/disk",
      shared: false,
      autocreate: false,
      holdings: [{ owner, since: 5 }],
      state: { kind: "held" },
      handle: fileHandle(50),
    };
    this.lockspace.resources.set("/disk", this.resource);
    const owned = new OwnedResources();
    owned.add(owner, this.resource);
    this.#asked = new AskedReleases({
      parts: {
        observer: { learnt: ({ holdings }) => this.told.push(`learnt ${holdings[0]?.owner.name}`) },
        settler: {
          isSettling: (_, key) => key === this.settling,
          reasonOf: () => this.settling === undefined ? undefined : "its writes are under way",
        },
        watch: { hasEnded: (key) => key === this.ended },
        patience: () => 3000,
      },
      directories: { get: (path) => path === "" ? this.lockspace : undefined },
      held: { owned },
      paused: { parked: this.parked },
      releases: {
        release: ({ name }, holding, done) => {
          this.told.push(`take ${holding.owner.name} off ${name}`);
          done(undefined);
        },
      },
      waiting: {
        add: (_, milliseconds, again, late) => {
          this.told.push(`wait ${milliseconds} ms`);
          this.waiting.push({ again, late });
        },
      },
      isDying: (key) => key === this.dying,
      report: ({ name, holdings }) => ({ name, holdings: [...holdings], dying: false }),
    });
  }

  release(path: string, name: string, owner: Owner): Refusal | undefined {
    const answers = this.releasing(path, name, owner);
    assert.equal(answers.length, 1);
    return answers[0];
  }

  /** @returns what is answered, now or later */
  releasing(path: string, name: string, owner: Owner): (Refusal | undefined)[] {
    const answers: (Refusal | undefined)[] = [];
    this.#asked.release(path, name, owner, (refusal) => answers.push(refusal));
    return answers;
  }
}

Deno.test("AskedReleases.release() takes the owner off that asks", () => {
  const stage = new Stage(WEB);
  assert.equal(stage.release("", "/disk", WEB), undefined);
  assert.deepEqual(stage.told, ["take web off /disk"]);
});

Deno.test("AskedReleases.release() refuses what is not there, and who does not own it", () => {
  const stage = new Stage(WEB);
  assert.deepEqual(stage.release("/none", "/disk", WEB), { kind: "lockspace-missing", path: "/none" });
  assert.deepEqual(stage.release("", "/other", WEB), { kind: "not-held", resource: "/other" });
  assert.deepEqual(stage.release("", "/disk", MAIL), {
    kind: "not-owner",
    resource: "/disk",
    asker: MAIL,
    held: { name: "/disk", holdings: [{ owner: WEB, since: 5 }], dying: false },
  });
  assert.deepEqual(stage.told, []);
});

Deno.test("AskedReleases.release() leaves a lock that still guards against the owner's process or its writes", () => {
  const stage = new Stage(WEB);
  stage.dying = ownerKey(WEB);
  assert.deepEqual(stage.release("", "/disk", WEB), { kind: "owner-dying", resource: "/disk", pid: 100 });
  stage.dying = undefined;
  stage.settling = ownerKey(WEB);
  assert.deepEqual(stage.release("", "/disk", WEB), {
    kind: "settling",
    resource: "/disk",
    reason: "its writes are under way",
  });
  // The daemon was not told of that yet.
  stage.settling = undefined;
  stage.ended = ownerKey(WEB);
  assert.deepEqual(stage.release("", "/disk", WEB), {
    kind: "settling",
    resource: "/disk",
    reason: "its process is gone",
  });
  assert.deepEqual(stage.told, []);
});

Deno.test("AskedReleases.release() learns from whoever asks who an owner is of whom only the pid was known", () => {
  const stage = new Stage({ pid: 100, id: 0, name: "", uuid: UNKNOWN_UUID });
  assert.equal(stage.release("", "/disk", WEB), undefined);
  assert.deepEqual(stage.told, ["learnt web", "take web off /disk"]);
});

Deno.test("AskedReleases.release() says of a lock that is kept for a paused guest that it is not locked", () => {
  const stage = new Stage(WEB);
  stage.resource.regrant = "parked";
  assert.deepEqual(stage.release("", "/disk", WEB), { kind: "not-held", resource: "/disk" });
  // Somebody else has asked for it meanwhile, and etcd takes its time.
  stage.resource.regrant = "leaving";
  stage.resource.state = { kind: "releasing" };
  stage.parked.park({ lockspace: "", name: "/disk", path: "/disk", owner: WEB, use: undefined });
  assert.deepEqual(stage.release("", "/disk", WEB), { kind: "not-held", resource: "/disk" });
  assert.deepEqual(stage.told, []);
});

Deno.test("AskedReleases.release() of a lock that is being released is answered by the end of that", () => {
  const stage = new Stage(WEB);
  stage.resource.regrant = "leaving";
  stage.resource.state = { kind: "releasing" };
  assert.deepEqual(stage.release("", "/disk", MAIL), { kind: "not-held", resource: "/disk" });
  const [inTime, late] = [stage.releasing("", "/disk", WEB), stage.releasing("", "/disk", WEB)];
  assert.deepEqual([inTime, late, stage.told], [[], [], ["wait 3000 ms", "wait 3000 ms"]]);
  stage.waiting[0]?.again();
  assert.deepEqual(inTime, [undefined]);
  stage.waiting[1]?.late();
  assert.deepEqual(late, [{ kind: "releasing", resource: "/disk" }]);
});

Deno.test("AskedReleases.release() tries again what could not be released", () => {
  const stage = new Stage(WEB);
  stage.resource.regrant = "leaving";
  stage.resource.state = { kind: "doubtful", reason: "Unable to unlink resource /disk" };
  assert.equal(stage.release("", "/disk", WEB), undefined);
  assert.deepEqual(stage.told, ["take web off /disk"]);
});
