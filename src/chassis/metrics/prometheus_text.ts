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
  readonly #daemon: string;

  /** @param daemon whose metrics they are: their names begin with its name */
  constructor(daemon: string) {
    this.#daemon = daemon;
  }

  /** Begins a metric. @param rest its name behind that of the daemon */
  metric(rest: string, type: MetricType, help: string): void {
    const name = `${this.#daemon}_${rest}`;
    this.#lines.push(`# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`);
    this.#lines.push(`# TYPE ${name} ${type}`);
  }

  /** Adds a sample. @param rest as that of the metric; of a histogram with its suffix */
  sample(rest: string, labels: Labels, value: number): void {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escape(text)}"`);
    this.#lines.push(`${this.#daemon}_${rest}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}`);
  }

  /** Adds a metric with one sample. */
  single(rest: string, type: MetricType, help: string, value: number): void {
    this.metric(rest, type, help);
    this.sample(rest, {}, value);
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
