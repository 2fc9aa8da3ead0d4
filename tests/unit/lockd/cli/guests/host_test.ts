import assert from "node:assert/strict";
import { FakeHost } from "../checks/check_fixture.ts";

Deno.test("Host reads files, lists, links and kinds below its root only", () => {
  using fake = new FakeHost({ "/etc/a": "text\n", "/etc/b/": "", "/etc/link": { link: "/target" } });
  const { host } = fake;
  assert.equal(host.read("/etc/a"), "text\n");
  assert.equal(host.read("/etc/hostname"), undefined);
  assert.equal(host.read("/etc/b"), undefined);
  assert.deepEqual(host.list("/etc"), ["a", "b", "link"]);
  assert.deepEqual(host.list("/none"), []);
  assert.equal(host.link("/etc/link"), "/target");
  assert.equal(host.link("/etc/a"), undefined);
  assert.deepEqual(["/etc/a", "/etc/b", "/etc/none"].map((path) => host.kind(path)), [
    "other",
    "directory",
    undefined,
  ]);
  assert.equal(host.writable("/etc/b"), true);
  assert.equal(host.writable("/none"), false);
});

Deno.test("Host tail() gives the last part of a long file", () => {
  using fake = new FakeHost({ "/log": "x".repeat(200_000) + "end" });
  assert.equal(fake.host.tail("/log", 5), "xxend");
  assert.equal(fake.host.tail("/log", 100_000)?.length, 100_000);
  assert.equal(fake.host.tail("/log", 1_000_000)?.length, 200_003);
  assert.equal(fake.host.tail("/none", 5), undefined);
});

Deno.test("Host reads files of /proc, which have no size", () => {
  using fake = new FakeHost({ "/self": { link: `/proc/${Deno.pid}` } });
  assert.match(fake.host.read("/self/status") ?? "", new RegExp(`^Pid:\\s+${Deno.pid}$`, "m"));
});
