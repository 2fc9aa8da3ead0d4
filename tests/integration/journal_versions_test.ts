import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { ACQUIRE_AUTOCREATE } from "../../src/lockd/wire/lock_protocol.ts";
import { LAYOUT_VERSION } from "../../src/chassis/journal/layout.ts";
import { Holder } from "../support/holder.ts";
import { lockOn } from "../support/kernel.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { Place } from "../support/place.ts";
import { ServiceManager } from "../support/service_manager.ts";

// An upgrade or a downgrade crashes in between: one version reads what another one has left.

const TREE = new URL("../..", import.meta.url).pathname;

/** Changes a source file of a copy. */
function patch(file: string, from: string, to: string): void {
  const text = Deno.readTextFileSync(file);
  assert.ok(text.includes(from), `${file} has no ${from}`);
  Deno.writeTextFileSync(file, text.replace(from, to));
}

/** A copy of the program that knows a layout more, and writes an operation that others may skip. */
function laterVersion(directory: string): string {
  for (const name of ["deno.json", "deno.lock", "src", "tests/support/virtlockd_main.ts"]) {
    cpSync(`${TREE}${name}`, `${directory}/${name}`, { recursive: true });
  }
  const journal = `${directory}/src/lockd/journal`;
  patch(
    `${directory}/src/chassis/journal/layout.ts`,
    `LAYOUT_VERSION = ${LAYOUT_VERSION};`,
    `LAYOUT_VERSION = ${LAYOUT_VERSION + 1};`,
  );
  patch(
    `${journal}/operation_encoder.ts`,
    "    for (const operation of operations) this.#append(this.#encoded(operation));\n",
    `    for (const operation of operations) {
      this.#append('[-99,3,"of a later version"]');
      this.#bytes.push(new Uint8Array([1, 2, 3]));
      this.#append(this.#encoded(operation));
    }
`,
  );
  return directory;
}

Deno.test("after kill -9 an earlier and a later version read each other's journal", async () => {
  const place = Place.create();
  const leases = place.makeDirectory("leases");
  const later = laterVersion(place.makeDirectory("later"));
  const program = `${place.directory}/program`;
  const use = (tree: string) => {
    Deno.symlinkSync(tree, `${program}.new`);
    Deno.renameSync(`${program}.new`, program);
  };
  use(TREE);
  await using manager = await ServiceManager.start({
    place,
    entry: `${program}/tests/support/virtlockd_main.ts`,
  });
  await using holder = await Holder.start(manager);
  await using client = await LockClient.connect(manager.socket);
  await client.register(testOwner(5_000_001));
  await client.createLockspace(leases);
  let locks = 0;
  // From this version to the later one and back, twice; and all that was locked before is there.
  for (const tree of [later, TREE, later, TREE]) {
    await holder.acquire(leases, `lock-${locks++}`, ACQUIRE_AUTOCREATE);
    use(tree);
    await manager.crash();
    for (let lock = 0; lock < locks; lock++) {
      assert.deepEqual(lockOn(`${leases}/lock-${lock}`), { mode: "exclusive", pid: -1 });
      await assert.rejects(client.acquire(leases, `lock-${lock}`), /is locked by domain 'guest-/);
    }
  }
  assert.doesNotMatch(manager.log, /damaged|cannot be read|in doubt|taken again/);
  assert.ok(holder.running);
});
