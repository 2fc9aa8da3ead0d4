import assert from "node:assert/strict";
import { memberAddress } from "../../../../src/etcd/link/member_address.ts";

Deno.test("a member is where its URL says, also at the ports of the web", () => {
  for (
    const [url, host, port] of [
      ["https://etcd1:2379", "etcd1", "2379"],
      ["https://etcd1", "etcd1", "2379"],
      ["https://etcd1/", "etcd1", "2379"],
      ["http://etcd1", "etcd1", "2379"],
      ["https://etcd1:443", "etcd1", "443"],
      ["https://etcd1:80", "etcd1", "80"],
      ["http://etcd1:80/", "etcd1", "80"],
      ["http://etcd1:443", "etcd1", "443"],
      ["http://[::1]:80", "[::1]", "80"],
      ["http://[::1]", "[::1]", "2379"],
    ] as const
  ) {
    assert.deepEqual(memberAddress(url), { host, port }, url);
  }
});

Deno.test("what is no URL of a member is refused by its name", () => {
  for (const url of ["etcd1:2379", "https://", "https://etcd1:65536", "https://etcd1/path", "ftp://etcd1"]) {
    assert.throws(() => memberAddress(url), { message: `Not a URL of etcd: ${url}` });
  }
});
