import assert from "node:assert/strict";
import { debianChangelog, rpmChangelog } from "../../../packaging/changelog.ts";
import { maintainer } from "../../../packaging/maintainer.ts";
import { specFile } from "../../../packaging/spec_file.ts";

/** Runs something with a setting of the packager's. */
function withMaintainer<T>(value: string, action: () => T): T {
  const before = Deno.env.get("VIRTLOCKD_MAINTAINER");
  Deno.env.set("VIRTLOCKD_MAINTAINER", value);
  try {
    return action();
  } finally {
    if (before === undefined) Deno.env.delete("VIRTLOCKD_MAINTAINER");
    else Deno.env.set("VIRTLOCKD_MAINTAINER", before);
  }
}

Deno.test("VIRTLOCKD_MAINTAINER names the packager everywhere", () => {
  const name = "Ada Lovelace <ada@example.org>";
  withMaintainer(name, () => {
    assert.equal(maintainer(), name);
    assert.match(debianChangelog(), /^ -- Ada Lovelace <ada@example\.org> {2}\w/m);
    assert.match(rpmChangelog(), /^\* \w{3} \w{3} \d\d \d{4} Ada Lovelace <ada@example\.org> - /m);
    assert.match(specFile(), /^Packager: +Ada Lovelace <ada@example\.org>$/m);
    assert.match(specFile(), /^%changelog\n\* .* Ada Lovelace <ada@example\.org> - /m);
  });
});

Deno.test("VIRTLOCKD_MAINTAINER without an address is refused", () => {
  for (const value of ["Ada", "Ada Lovelace <ada>", "<ada@example.org>"]) {
    assert.throws(() => withMaintainer(value, maintainer), {
      message: `Read VIRTLOCKD_MAINTAINER: got "${value}", want "NAME <ADDRESS>"`,
    });
  }
});
