import assert from "node:assert/strict";
import { openUri } from "../../../../src/storaged/programs/open_uri.ts";

/** What is told of a URI. */
function told(name: string | undefined, privileged = true): string {
  const result = openUri(name, privileged);
  return result.kind === "uri" ? result.uri : `${result.failure.code}: ${result.failure.message}`;
}

Deno.test("openUri() takes the daemon's own connection, by any name of it", () => {
  assert.equal(told(undefined), "storage:///system");
  assert.equal(told("storage:///system"), "storage:///system");
  assert.equal(told("storage:///system?socket=/x"), "storage:///system");
  assert.equal(told("storage:///session", false), "storage:///session");
});

Deno.test("openUri() refuses the other one with libvirt's words", () => {
  assert.equal(
    told("storage:///session"),
    "1: internal error: unexpected storage URI path '/session', try storage:///system",
  );
  assert.equal(
    told("storage:///system", false),
    "1: internal error: unexpected storage URI path '/system', try storage:///session",
  );
});

Deno.test("openUri() refuses what other daemons serve", () => {
  for (
    const name of ["qemu:///system", "storage://host/system", "storage", "", "://"].filter((each) =>
      each !== ""
    )
  ) {
    assert.equal(told(name), `5: no connection driver available for ${name}`);
  }
});
