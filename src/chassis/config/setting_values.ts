import { ConfigError } from "./config_error.ts";
import type { ConfigEntry, ConfigValue } from "./config_file.ts";
import { quote } from "./quote.ts";

/** An integer within limits. @throws ConfigError */
export function readInteger(entry: ConfigEntry, least: number, most: number): number {
  const { value } = entry;
  if (value.kind === "integer" && value.value >= least && value.value <= most) return value.value;
  throw wrongValue(entry, `an integer from ${least} to ${most}`);
}

/** A text; an empty one means the same as no key at all. @throws ConfigError */
export function readText(entry: ConfigEntry): string | undefined {
  const { value } = entry;
  if (value.kind !== "string") throw wrongValue(entry, "a string");
  return value.value.trim() === "" ? undefined : value.value;
}

/** The error for a value, or for one item of a list. @param wanted what would have been right */
export function wrongValue(entry: ConfigEntry, wanted: string, got: ConfigValue = entry.value): ConfigError {
  return new ConfigError(entry.place, `${wanted} for "${entry.key}"`, describe(got));
}

function describe(value: ConfigValue): string {
  switch (value.kind) {
    case "string":
      return `the string ${quote(value.value)}`;
    case "integer":
      return String(value.value);
    case "list":
      return "a list";
  }
}
