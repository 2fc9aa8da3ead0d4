import type { Identity } from "./identity.ts";
import { type Paths, socketPath } from "./paths.ts";
import type { SocketRole } from "./socket_role.ts";

const optionLines = (keeps: string): readonly (readonly [string, string])[] => [
  ["-h, --help", "show this text and exit"],
  ["-d, --daemon", "run in the background"],
  ["-f, --config FILE", "read the configuration from FILE"],
  ["-t, --timeout SECONDS", `stop after SECONDS without any client or ${keeps}; 0: never`],
  ["-p, --pid-file FILE", "write the process id to FILE"],
  ["-v, --verbose", "log informational messages too"],
  ["-V, --version", "show the version and exit"],
];

const SOCKETS: Readonly<Record<SocketRole, string>> = {
  "read-write": "socket",
  "read-only": "read-only socket",
  admin: "admin socket",
};

/**
 * What `--help` prints: options, commands, and where this user's files are. Ends with a line end.
 *
 * @param paths this user's files
 */
export function usageText({ name, purpose, keeps, commands, sockets }: Identity, paths: Paths): string {
  return [
    `Usage: ${name} [OPTION]...`,
    `       ${name} COMMAND [ARGUMENT]...`,
    "",
    ...purpose,
    "",
    "Options:",
    ...columns(optionLines(keeps)),
    "",
    "Commands:",
    ...columns(Object.entries(commands)),
    "",
    "Files, unless an option names another one:",
    ...columns([
      ["configuration", paths.config],
      ...sockets.map((role) => [SOCKETS[role], socketPath(paths, role)] as const),
      ["PID file", paths.pidFile],
      ["log file", paths.logFile],
    ]),
    "",
  ].join("\n");
}

/** The line that follows a {@link UsageError}, without a line end. */
export function usageHint(programName: string): string {
  return `Run '${programName} --help' for a list of options and commands.`;
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}
