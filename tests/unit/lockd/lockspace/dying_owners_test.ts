import assert from "node:assert/strict";
import { DyingOwners } from "../../../../src/lockd/lockspace/dying_owners.ts";
import { OwnedResources } from "../../../../src/lockd/lockspace/owned_resources.ts";
import { type Owner, type OwnerKey, ownerKey } from "../../../../src/lockd/lockspace/owner.ts";
import type { Done } from "../../../../src/lockd/lockspace/refusal.ts";
import type { Resource } from "../../../../src/lockd/lockspace/resource.ts";
import { fileHandle } from "../../../support/file_handle.ts";

const WEB = { pid: 100, id: 1, name: "web", uuid: "11111111-2222-3333-4444-555555555555" };
const MAIL = { pid: 200, id: 2, name: "mail", uuid: "66666666-7777-8888-9999-000000000000" };

/** Locks whose releases and last writes the test ends. */
class Stage {
  readonly owned = new OwnedResources();
  readonly told: string[] = [];
  readonly landed: (() => void)[] = [];
  readonly released: (() => void)[] = [];
  settling: { readonly resource: Resource; readonly key: OwnerKey } | undefined;
  readonly dying = new DyingOwners({
    held: { owned: this.owned },
    releases: {
      takeOff: (resource, holding, force, done: Done, waits) => {
        this.told.push(`take ${holding.owner.name} off ${resource.name}, ${force}, ${waits}`);
        this.released.push(() => {
          resource.holdings.splice(resource.holdings.indexOf(holding), 1);
          done(undefined);
        });
      },
    },
    settler: {
      settle: (resource, { owner }, done) => {
        this.told.push(`settle ${resource.name} of ${owner.name}`);
        this.landed.push(done);
      },
      isSettling: (resource, key) => this.settling?.resource === resource && this.settling.key === key,
    },
  });

  hold(name: string, ...owners: Owner[]): Resource {
    const resource: Resource = {
      id: 1,
      lockspace: "",
      name,
      path: name,
      shared: owners.length > 1,
      autocreate: false,
      holdings: owners.map((owner) => ({ owner, since: 5 })),
      state: { kind: "held" },
      handle: fileHandle(50),
    };
    for (const owner of owners) this.owned.add(owner, resource);
    return resource;
  }

  /** What was told since this was asked last. */
  since(): string[] {
    return this.told.splice(0);
  }
}

Deno.test("DyingOwners.releaseAll() releases each lock when its last writes have landed, and tells at the end", () => {
  const stage = new Stage();
  stage.hold("a", WEB);
  stage.hold("b", WEB);
  stage.hold("c", MAIL);
  stage.dying.mark(ownerKey(WEB));
  assert.equal(stage.dying.has(ownerKey(WEB)), true);
  let done = 0;
  stage.dying.releaseAll(ownerKey(WEB), () => done++);
  assert.equal(stage.dying.has(ownerKey(WEB)), false);
  assert.deepEqual(stage.since(), ["settle a of web", "settle b of web"]);
  stage.landed[1]?.();
  assert.deepEqual(stage.since(), ["take web off b, true, undefined"]);
  stage.released.shift()?.();
  assert.equal(done, 0);
  stage.landed[0]?.();
  assert.equal(done, 0);
  stage.released.shift()?.();
  assert.equal(done, 1);
});

Deno.test("DyingOwners.releaseAll() tells at once where there is nothing", () => {
  const stage = new Stage();
  let done = 0;
  stage.dying.releaseAll(ownerKey(WEB), () => done++);
  assert.deepEqual([done, stage.since()], [1, []]);
});

Deno.test("DyingOwners.releaseAll() leaves what is settling already to who has begun that", () => {
  const stage = new Stage();
  stage.settling = { resource: stage.hold("a", WEB), key: ownerKey(WEB) };
  stage.hold("b", WEB);
  stage.dying.releaseAll(ownerKey(WEB), () => {});
  assert.deepEqual(stage.since(), ["settle b of web"]);
});

Deno.test("DyingOwners.releaseAll() takes off only the owner that is gone, and every hold that it has", () => {
  const stage = new Stage();
  stage.hold("a", WEB, MAIL, WEB);
  let done = 0;
  stage.dying.releaseAll(ownerKey(WEB), () => done++);
  stage.landed[0]?.();
  assert.deepEqual(stage.since(), [
    "settle a of web",
    "take web off a, true, undefined",
    "take web off a, true, undefined",
  ]);
  stage.released[0]?.();
  assert.equal(done, 0);
  stage.released[1]?.();
  assert.equal(done, 1);
});

Deno.test("DyingOwners.giveUp() takes an owner off as often as it has a resource, and answers for the last hold", () => {
  const stage = new Stage();
  const resource = stage.hold("a", WEB, MAIL, WEB);
  let done = 0;
  stage.dying.giveUp(resource, WEB, () => done++);
  assert.deepEqual(stage.since(), ["take web off a, true, undefined", "take web off a, true, true"]);
  stage.released[0]?.();
  assert.equal(done, 0);
  stage.released[1]?.();
  assert.equal(done, 1);
});

Deno.test("DyingOwners.giveUp() of what somebody does not have is a mistake", () => {
  const stage = new Stage();
  const resource = stage.hold("a", WEB);
  assert.throws(() => stage.dying.giveUp(resource, MAIL, () => {}), /the owner does not hold it/);
  assert.throws(
    () => stage.dying.giveUp(resource, { ...WEB, uuid: MAIL.uuid }, () => {}),
    /does not hold it/,
  );
});
