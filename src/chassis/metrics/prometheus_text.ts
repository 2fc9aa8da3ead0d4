/** What a metric is. Of a histogram each bucket is a sample of its own. */
export type MetricType = "counter" | "gauge" | "histogram";

/** Names and values of labels. */
export type Labels = Readonly<Record<string, string>>;

/**
 * Builds a text in Prometheus' exposition format, version 0.0.4.
 *
 * A metric's samples have to come together, after its {@link metric}.
 */
export class PrometheusText {
  readonly #lines: string[] = [];

  /** Begins a metric. */
  metric(name: string, type: MetricType, help: string): void {
    this.#lines.push(`# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`);
    this.#lines.push(`# TYPE ${name} ${type}`);
  }

  /** Adds a sample. @param name that of the metric; of a histogram with its suffix */
  sample(name: string, labels: Labels, value: number): void {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escape(text)}"`);
    this.#lines.push(`${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}`);
  }

  /** Adds a metric with one sample. */
  single(name: string, type: MetricType, help: string, value: number): void {
    this.metric(name, type, help);
    this.sample(name, {}, value);
  }

  /** The text, with a line end at its end. */
  toString(): string {
    return this.#lines.map((line) => `${line}\n`).join("");
  }
}

/** A label's value has to be UTF-8 on one line. */
function escape(text: string): string {
  return text.toWellFormed().replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
