import assert from "node:assert/strict";
import { listenAddressText, parseListenAddress } from "../../../../src/chassis/cli/listen_address.ts";
import { UsageError } from "../../../../src/chassis/config/usage_error.ts";

Deno.test("parseListenAddress() reads addresses that listenAddressText() writes", () => {
  for (
    const [text, address] of [
      ["127.0.0.1:9774", { kind: "tcp", host: "127.0.0.1", port: 9774 }],
      ["localhost:0", { kind: "tcp", host: "localhost", port: 0 }],
      ["[::1]:65535", { kind: "tcp", host: "::1", port: 65535 }],
      ["unix:/run/x y:1.sock", { kind: "unix", path: "/run/x y:1.sock" }],
    ] as const
  ) {
    assert.deepEqual(parseListenAddress(text), address);
    assert.equal(listenAddressText(address), text);
  }
});

Deno.test("parseListenAddress() refuses everything else", () => {
  for (
    const text of [
      "",
      "9774",
      ":9774",
      "host",
      "host:",
      "host:65536",
      "host:x",
      "::1:80",
      "unix:",
      "[::1]",
      "a b:1",
    ]
  ) {
    assert.throws(() => parseListenAddress(text), UsageError, text);
  }
});
