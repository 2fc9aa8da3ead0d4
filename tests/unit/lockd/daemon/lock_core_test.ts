import { CLUSTER_DEFAULTS } from "../../../../src/lockd/identity/cluster_settings.ts";
import assert from "node:assert/strict";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import { LockCore } from "../../../../src/lockd/daemon/lock_core.ts";
import type { CoreSettings } from "../../../../src/lockd/daemon/core_settings.ts";
import type { Refusal } from "../../../../src/lockd/lockspace/refusal.ts";
import { combineObservers } from "../../../../src/lockd/reporting/observers.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { kernel } from "../../../support/kernel.ts";
import { Scratch } from "../../../support/scratch.ts";

const OWNER = { pid: 5_000_001, name: "web", uuid: "6ba7b810-9dad-41d1-80b4-00c04fd430c8", id: 3 };

/** A lock core over a directory of the test. */
class Stage implements Disposable {
  readonly scratch = new Scratch();
  readonly settings: CoreSettings = {
    storageTimeout: 5,
    allowStaleResume: false,
    staleResumeGuests: [],
    settleTimeout: 5,
    lockDirectories: new Map(),
    clusterWait: 5,
    clusterStartWait: 60,
    clusterFenceData: undefined,
    clusterFenceCommand: undefined,
    clusterFenceTimeout: 60,
    clusterOnLost: "report",
    clusterTrustNetworkDisks: false,
  };
  readonly #loop = new EventLoop(kernel);
  readonly #ledger = new DescriptorLedger(kernel);
  readonly core = new LockCore({
    recorded: (go) => go(),
    sys: kernel,
    loop: this.#loop,
    ledger: this.#ledger,
    settings: this.settings,
    observer: combineObservers([]),
    program: { path: "/nowhere", argv: ["/nowhere"], env: [] },
    storageStarter: undefined,
    deputySocket: "/nowhere/deputy",
    clusterSettings: CLUSTER_DEFAULTS,
    linkSocket: "/nowhere/cluster",
    membershipFile: "/nowhere/cluster.json",
    lineage: "lineage",
    tries: [],
    triesChanged: () => {},
    fenceSocket: "/nowhere/fence",
  });

  /** Asks for a disk. @returns why it is refused */
  acquire(name: string): Refusal | undefined {
    const answers: (Refusal | undefined)[] = [];
    const path = this.scratch.write(name);
    this.core.table.acquire("", path, { shared: false, autocreate: false }, OWNER, (refusal) => {
      answers.push(refusal);
    });
    assert.equal(answers.length, 1);
    return answers[0];
  }

  [Symbol.dispose](): void {
    for (const [fd] of [...this.#ledger.entries()]) {
      if (!this.#loop.descriptors.includes(fd)) this.#ledger.close(fd);
    }
    this.#loop.close();
    this.scratch[Symbol.dispose]();
  }
}

Deno.test("LockCore gives up by hand what its table has", () => {
  using stage = new Stage();
  assert.equal(stage.acquire("disk"), undefined);
  assert.equal(stage.core.table.resourceCount, 1);
  const { table } = stage.core;
  const [resource] = [...table.resources()];
  assert.ok(resource !== undefined);
  table.giveUp(resource, OWNER, () => {});
  assert.equal(table.resourceCount, 0);
});

Deno.test("LockCore frees what an owner has whose process is gone", () => {
  using stage = new Stage();
  stage.acquire("disk");
  stage.core.reaper.free({ pid: OWNER.pid, key: OWNER.pid });
  assert.equal(stage.core.table.resourceCount, 0);
});
