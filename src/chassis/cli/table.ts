import { plainText } from "../log/plain_text.ts";

/**
 * Rows under a header, in columns as wide as their widest cell. The last column is not padded. Cells are made
 * fit for a terminal.
 */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [header, ...rows].map((row) => row.map(plainText));
  const widths = header.map((_, column) => Math.max(...lines.map((row) => width(row[column] ?? ""))));
  return lines.map((row) => {
    const cells = row.map((cell, column) => {
      const padding = column === row.length - 1 ? 0 : (widths[column] ?? 0) - width(cell);
      return cell + " ".repeat(padding);
    });
    return `${cells.join("  ").trimEnd()}\n`;
  }).join("");
}

/** Names with their values, the values in one column. */
export function pairs(rows: readonly (readonly [string, string])[]): string {
  const widest = Math.max(...rows.map(([name]) => width(name)));
  return rows.map(([name, value]) => {
    return `${name}:${" ".repeat(widest - width(name) + 2)}${plainText(value)}\n`;
  }).join("");
}

/** A point in time, `2026-11-21 02:55:58Z`; a dash for 0, unknown. */
export function timeText(milliseconds: number): string {
  if (milliseconds === 0) return "-";
  return `${new Date(milliseconds).toISOString().slice(0, 19).replace("T", " ")}Z`;
}

/** A duration in its two largest units, e.g. `3 d 4 h`. */
export function durationText(seconds: number): string {
  const parts = ([["d", 86400], ["h", 3600], ["min", 60], ["s", 1]] as const).map(([unit, size], index) => {
    const larger = [Infinity, 24, 60, 60][index] as number;
    return [Math.floor(seconds / size) % larger, unit] as const;
  });
  const first = parts.findIndex(([count]) => count > 0);
  const shown = first < 0 ? parts.slice(-1) : parts.slice(first, first + 2);
  return shown.map(([count, unit]) => `${count} ${unit}`).join(" ");
}

/** Characters, not UTF-16 units. */
function width(text: string): number {
  return [...text].length;
}
