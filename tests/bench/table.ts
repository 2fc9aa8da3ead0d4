import { type Figure, type Line, met, ratio } from "./line.ts";

const HEADINGS = [
  "row",
  "unit",
  "ours",
  "p50",
  "p99",
  "9.0.0",
  "p50",
  "p99",
  "ratio",
  "goal",
  "",
  "daemon CPU",
  "load CPU",
];
const LEFT_COLUMNS = 2;

/** The lines as one table; p50 and p99 are microseconds. */
export function formatTable(lines: readonly Line[]): string {
  const rows = [HEADINGS, ...lines.map(cells)];
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const format = (row: readonly string[]) =>
    row.map((text, column) => {
      const width = widths[column] as number;
      return column < LEFT_COLUMNS ? text.padEnd(width) : text.padStart(width);
    }).join("  ").trimEnd();
  const table = rows.map(format);
  table.splice(1, 0, widths.map((width) => "-".repeat(width)).join("  "));
  return [...table, ...notes(lines)].join("\n");
}

function cells(line: Line): string[] {
  const { ours, theirs, goal } = line;
  const reached = ratio(line);
  const success = met(line);
  return [
    line.title,
    line.unit,
    ...figureCells(ours),
    ...figureCells(theirs),
    reached === undefined ? "" : `${reached.toFixed(2)}x`,
    goal === undefined
      ? ""
      : goal.kind === "ratio"
      ? `>= ${Number(goal.least.toFixed(2))}x`
      : `<= ${goal.value}`,
    success === undefined ? "" : success ? "ok" : "SHORT",
    both(line, ({ cpuPerOperation }) => formatNumber(cpuPerOperation)),
    both(line, ({ loadCpu }) => loadCpu === undefined ? "" : `${Math.round(100 * loadCpu)}%`),
  ];
}

/** A text of ours and of theirs, as far as there is one. */
function both({ ours, theirs }: Line, text: (figure: Figure) => string): string {
  return [text(ours), theirs === undefined ? "" : text(theirs)].filter((part) => part !== "").join("/");
}

function figureCells(figure: Figure | undefined): string[] {
  if (figure === undefined) return ["", "", ""];
  const { value, latency } = figure;
  return [formatNumber(value), formatNumber(latency?.p50), formatNumber(latency?.p99)];
}

/** Three digits that count, whole from 100 on, thousands apart. */
function formatNumber(value: number | undefined): string {
  if (value === undefined) return "";
  if (Number.isNaN(value)) return "n/a";
  if (value >= 100) return Math.round(value).toLocaleString("en-US");
  return value === 0 ? "0" : value.toPrecision(3);
}

function notes(lines: readonly Line[]): string[] {
  return lines.flatMap(({ title, ours, theirs }) => {
    const both = [["ours", ours.note], ["9.0.0", theirs?.note]] as const;
    return both.flatMap(([name, note]) => note === undefined ? [] : [`${title}, ${name}: ${note}`]);
  });
}
