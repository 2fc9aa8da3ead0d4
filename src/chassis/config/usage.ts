import type { CommandName } from "./options.ts";
import type { Paths } from "./paths.ts";

const OPTION_LINES: readonly (readonly [string, string])[] = [
  ["-h, --help", "show this text and exit"],
  ["-d, --daemon", "run in the background"],
  ["-f, --config FILE", "read the configuration from FILE"],
  ["-t, --timeout SECONDS", "stop after SECONDS without any client or lock; 0: never"],
  ["-p, --pid-file FILE", "write the process id to FILE"],
  ["-v, --verbose", "log informational messages too"],
  ["-V, --version", "show the version and exit"],
];

const COMMAND_SUMMARIES: Readonly<Record<CommandName, string>> = {
  locks: "list the locks: who holds which resource",
  clients: "list the connected clients",
  status: "show how the running daemon is doing",
  doctor: "look for what leaves this host's guests without locks",
  metrics: "print the daemon's metrics in Prometheus' format",
  exporter: "serve the metrics over HTTP",
  release: "free a lock whose guest is gone, or of which nobody can tell",
  reload: "execute the installed program anew in the daemon, keeping all locks",
};

/**
 * What `--help` prints: options, commands, and where this user's files are. Ends with a line end.
 *
 * @param paths this user's files
 * @param programName the name that the program was called by
 */
export function usageText(paths: Paths, programName: string): string {
  return [
    `Usage: ${programName} [OPTION]...`,
    `       ${programName} COMMAND [ARGUMENT]...`,
    "",
    "Keeps the locks of libvirt's guests in a process of its own, so that libvirtd",
    "can be restarted without losing them. Without a command it is the daemon.",
    "",
    "Options:",
    ...columns(OPTION_LINES),
    "",
    "Commands:",
    ...columns(Object.entries(COMMAND_SUMMARIES)),
    "",
    "Files, unless an option names another one:",
    ...columns([
      ["configuration", paths.config],
      ["socket", paths.socket],
      ["admin socket", paths.adminSocket],
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
