import assert from "node:assert/strict";
import { PrometheusText } from "../../../../src/chassis/metrics/prometheus_text.ts";

Deno.test("PrometheusText writes help, type and samples, each on its line", () => {
  const text = new PrometheusText("toyd");
  text.metric("a_total", "counter", "Counts a.");
  text.sample("a_total", { of: "x", in: "y" }, 3);
  text.sample("a_total", {}, 0.25);
  text.single("b", "gauge", "Is b.", 1e21);
  assert.equal(
    text.toString(),
    "# HELP toyd_a_total Counts a.\n# TYPE toyd_a_total counter\n" +
      'toyd_a_total{of="x",in="y"} 3\ntoyd_a_total 0.25\n' +
      "# HELP toyd_b Is b.\n# TYPE toyd_b gauge\ntoyd_b 1e+21\n",
  );
});

Deno.test("PrometheusText escapes what would end a label or a line", () => {
  const text = new PrometheusText("toyd");
  text.metric("a", "gauge", "back\\slash\nand line");
  text.sample("a", { path: 'q"b\\n\nx' }, 1);
  assert.equal(
    text.toString(),
    '# HELP toyd_a back\\\\slash\\nand line\n# TYPE toyd_a gauge\ntoyd_a{path="q\\"b\\\\n\\nx"} 1\n',
  );
});

Deno.test("PrometheusText writes a name that is not UTF-8 as UTF-8", () => {
  const text = new PrometheusText("toyd");
  text.sample("a", { path: "x\udcff" }, 1);
  assert.equal(text.toString(), 'toyd_a{path="x\ufffd"} 1\n');
});
