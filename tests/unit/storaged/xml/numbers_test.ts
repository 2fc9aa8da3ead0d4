import assert from "node:assert/strict";
import { LARGEST, LARGEST_FILE, scaled, signed, unsigned } from "../../../../src/storaged/xml/numbers.ts";

Deno.test("unsigned() takes whole numbers of 64 bits only", () => {
  assert.equal(unsigned("18446744073709551615"), LARGEST);
  assert.equal(unsigned(" 7"), 7n);
  for (const text of ["18446744073709551616", "-1", "", "1.5", "7 ", "0x10", "a"]) {
    assert.equal(unsigned(text), undefined, text);
  }
});

Deno.test("signed() takes numbers of 64 bits with a sign", () => {
  assert.equal(signed("-1"), -1n);
  assert.equal(signed("9223372036854775807"), 9223372036854775807n);
  assert.equal(signed("9223372036854775808"), undefined);
});

Deno.test("scaled() knows libvirt's units, in any case", () => {
  const cases: [string | undefined, bigint][] = [
    [undefined, 3n],
    ["", 3n],
    ["b", 3n],
    ["Bytes", 3n],
    ["k", 3072n],
    ["KB", 3000n],
    ["KiB", 3072n],
    ["m", 3145728n],
    ["g", 3221225472n],
    ["TB", 3000000000000n],
    ["p", 3377699720527872n],
    ["E", 3458764513820540928n],
  ];
  for (const [unit, expected] of cases) {
    assert.equal(scaled(3n, unit, LARGEST), expected, unit ?? "without a unit");
  }
});

Deno.test("scaled() refuses unknown units and what is too large", () => {
  assert.throws(() => scaled(1n, "Q", LARGEST), {
    code: 8,
    domain: 0,
    message: "invalid argument: unknown suffix 'Q'",
  });
  assert.throws(() => scaled(1n, "kBx", LARGEST), { code: 8 });
  assert.throws(() => scaled(8n, "E", LARGEST_FILE), {
    code: 82,
    message: "numerical overflow: value too large: 8E",
  });
});
