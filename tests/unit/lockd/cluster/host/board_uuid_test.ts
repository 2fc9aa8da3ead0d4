import assert from "node:assert/strict";
import { wrongWithUuid } from "../../../../../src/lockd/cluster/host/board_uuid.ts";

Deno.test("a firmware's uuid that vendors leave where none was set tells nothing", () => {
  for (
    const uuid of [
      "00000000-0000-0000-0000-000000000000",
      "ffffffff-ffff-ffff-ffff-ffffffffffff",
      "11111111-2222-3333-4444-555555555555",
      "fefefefe-fefe-fefe-fefe-fefefefefefe",
      "03000200-0400-0500-0006-000700080009",
      "00020003-0004-0005-0006-000700080009",
      "12345678-1234-5678-90ab-cddeefaabbcc",
      "4c4c4544-0000-2010-8020-80c04f202020",
    ]
  ) {
    assert.equal(
      wrongWithUuid(uuid),
      `the firmware's uuid, ${uuid}, is what vendors leave where none was set: other machines have it too`,
    );
  }
});

Deno.test("what is no uuid is none", () => {
  for (
    const text of ["", "Not Settable", "4c4c4544-0042-3510-8052", "4C4C4544-0042-3510-8052-B8C04F4D3432"]
  ) {
    assert.equal(wrongWithUuid(text), `the firmware's uuid, '${text}', is none`);
  }
});

Deno.test("uuids of boards are not taken for what vendors leave: by chance, by service tag, by MAC", () => {
  for (
    const uuid of [
      "d4a0f1de-6f0c-4c39-9a7b-0f4d2f9b1c55",
      "4c4c4544-0042-3510-8052-b8c04f4d3432",
      "00000000-0000-0000-0000-0cc47a6b2f1e",
    ]
  ) {
    assert.equal(wrongWithUuid(uuid), undefined);
  }
});
