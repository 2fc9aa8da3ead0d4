import { type LogLevel, parsePriority } from "./levels.ts";
import { LogConfigError } from "./log_config_error.ts";

/** Where log lines go, from which level up. */
export type OutputSpec =
  | { readonly kind: "stderr"; readonly level: LogLevel }
  | { readonly kind: "journald"; readonly level: LogLevel }
  | { readonly kind: "syslog"; readonly level: LogLevel; readonly ident: string }
  | { readonly kind: "file"; readonly level: LogLevel; readonly path: string };

/**
 * Reads an output list: `N:stderr`, `N:journald`, `N:syslog:IDENT` and `N:file:PATH`, separated by spaces. Of
 * two that differ in the level only, the later one counts, at its place. A relative path is taken from `/`,
 * where the daemon runs.
 *
 * @throws LogConfigError naming the output that is wrong, in the words of libvirt 9.0.0
 */
export function parseOutputs(text: string): OutputSpec[] {
  const outputs = new Map<string, OutputSpec>();
  for (const item of text.split(" ")) {
    if (item === "") continue;
    const output = parseOutput(item);
    const destination = formatDestination(output);
    outputs.delete(destination);
    outputs.set(destination, output);
  }
  return [...outputs.values()];
}

/** One output as libvirt prints it, e.g. `3:file:/var/log/libvirt/daemon.log`. */
export function formatOutput(output: OutputSpec): string {
  return `${output.level}:${formatDestination(output)}`;
}

/** An output list as libvirt prints it: separated by one space. */
export function formatOutputs(outputs: readonly OutputSpec[]): string {
  return outputs.map(formatOutput).join(" ");
}

function formatDestination(output: OutputSpec): string {
  switch (output.kind) {
    case "stderr":
    case "journald":
      return output.kind;
    case "syslog":
      return `syslog:${output.ident}`;
    case "file":
      return `file:${output.path}`;
  }
}

function parseOutput(text: string): OutputSpec {
  const [priority, kind, ...rest] = text.split(":");
  if (priority === undefined || kind === undefined) {
    throw new LogConfigError(`Malformed format for log output '${text}'`);
  }
  const level = parsePriority(priority);
  if (level === undefined) {
    throw new LogConfigError(`Invalid log priority '${priority}' for log output '${text}'`);
  }
  const [detail, ...excess] = rest;
  if (kind === "stderr" || kind === "journald") {
    if (detail === undefined) return { kind, level };
  } else if (kind === "syslog" || kind === "file") {
    if (detail !== undefined && excess.length === 0) {
      return kind === "syslog" ? { kind, level, ident: detail } : { kind, level, path: absolutePath(detail) };
    }
  } else {
    throw new LogConfigError(`Invalid log destination '${kind}' for log output '${text}'`);
  }
  throw new LogConfigError(
    `Log output '${text}' does not meet the format requirements for destination type '${kind}'`,
  );
}

/** A path from `/`, without empty, `.` and `..` components. */
function absolutePath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}
