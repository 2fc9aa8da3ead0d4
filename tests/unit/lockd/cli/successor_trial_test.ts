import assert from "node:assert/strict";
import { complaint } from "../../../../src/lockd/cli/successor_trial.ts";

Deno.test("complaint() is the last error of libvirt's daemon, without time and place", () => {
  assert.equal(
    complaint(
      "2026-11-28 03:22:47.991+0000: 17366: info : hostname: vm\n" +
        "2026-11-28 03:22:47.991+0000: 17366: error : main:906 : Can't load config file: /x: expected\n",
    ),
    "Can't load config file: /x: expected",
  );
  assert.equal(
    complaint("libvirt:  error : failed to open /nonexistent/x: No such file or directory\n"),
    "failed to open /nonexistent/x: No such file or directory",
  );
  assert.equal(complaint("something else\n"), "something else");
  assert.equal(complaint("\n"), undefined);
});
