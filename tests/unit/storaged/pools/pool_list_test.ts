import assert from "node:assert/strict";
import type { PoolDefinition } from "../../../../src/storaged/model/pool_definition.ts";
import { isListed, PoolList } from "../../../../src/storaged/pools/pool_list.ts";
import { parsePool } from "../../../../src/storaged/xml/pool_xml.ts";

const A = "0a0a0a0a-0000-4000-8000-00000000000a";
const B = "0b0b0b0b-0000-4000-8000-00000000000b";

function dir(name: string, uuid: string, path = `/${name}`): PoolDefinition {
  return parsePool(
    `<pool type='dir'><name>${name}</name><uuid>${uuid}</uuid><target><path>${path}</path></target></pool>`,
  );
}

function netfs(name: string, host: string): PoolDefinition {
  return parsePool(
    `<pool type='netfs'><name>${name}</name><source>${host}<dir path='/e'/></source>` +
      `<target><path>/${name}</path></target></pool>`,
  );
}

Deno.test("place() gives a definition of the same name and uuid to the pool that is known", () => {
  const pools = new PoolList();
  const { pool, isNew } = pools.place(dir("a", A));
  assert.equal(isNew, true);
  assert.deepEqual(pools.place(dir("a", A, "/other")), { pool, isNew: false });
});

Deno.test("place() refuses names, uuids and storage of other pools, in libvirt's words", () => {
  const pools = new PoolList();
  pools.place(dir("a", A));
  const refused = (definition: PoolDefinition, detail: string) =>
    assert.throws(() => pools.place(definition), {
      code: 9,
      domain: 18,
      message: `operation failed: ${detail}`,
    });
  refused(dir("a", B), `pool 'a' already exists with uuid ${A}`);
  refused(dir("b", A), `pool 'a' is already defined with uuid ${A}`);
  refused(dir("b", B, "/a"), "Storage source conflict with pool: 'a'");
});

Deno.test("place() knows that two pools would mount the same export", () => {
  const pools = new PoolList();
  pools.place(netfs("a", "<host name='server'/>"));
  const conflict = { message: "operation failed: Storage source conflict with pool: 'a'" };
  assert.throws(() => pools.place(netfs("b", "<host name='server' port='2049'/>")), conflict);
  assert.equal(pools.place(netfs("b", "<host name='other'/>")).isNew, true);
});

Deno.test("a pool that is not there is refused by what it was looked for", () => {
  const pools = new PoolList();
  const cases: [() => unknown, string][] = [
    [() => pools.byName("x"), "no storage pool with matching name 'x'"],
    [() => pools.byUuid(A), `no storage pool with matching uuid '${A}'`],
    [() => pools.byRef({ name: "x", uuid: A }), `no storage pool with matching uuid '${A}' (x)`],
    [() => pools.byTargetPath("/a//b/"), "no storage pool with matching target path '/a//b/' (/a/b)"],
  ];
  for (const [find, detail] of cases) {
    assert.throws(find, { code: 49, domain: 18, message: `Storage pool not found: ${detail}` });
  }
});

Deno.test("isListed() asks each group of flags, and none where it has none", () => {
  const pools = new PoolList();
  const { pool } = pools.place(dir("a", A));
  pool.persistent = true;
  const shown = (flags: number) => isListed(pool, flags);
  assert.deepEqual([0, 1, 2, 3, 4, 8, 16, 32, 64, 128, 192, 1 | 4 | 64, 1 | 8].map(shown), [
    true,
    true,
    false,
    true,
    true,
    false,
    false,
    true,
    true,
    false,
    true,
    true,
    false,
  ]);
});
