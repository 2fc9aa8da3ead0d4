// What only the JavaScript runtime knows of this process. The runtime may change one day: keep this small.

/** How this program was started. */
export interface RuntimeFacts {
  /** The daemon's name where the first argument has chosen it among those of the family; else empty. */
  readonly chosen: readonly string[];
  /** Command line arguments after the program's own name, and after what has chosen the daemon. */
  readonly args: readonly string[];
  /** Executable of the runtime. */
  readonly runtimePath: string;
  /** Whether the program is embedded in the runtime's executable (deno compile). */
  readonly standalone: boolean;
  /** File of the main module. */
  readonly mainFile: string;
}

/** Facts of this process. Asked once at start: afterwards the executable may have been replaced on disk. */
export function runtimeFacts(): RuntimeFacts {
  return {
    chosen: [],
    args: Deno.args,
    runtimePath: Deno.execPath(),
    standalone: Deno.build.standalone,
    mainFile: decodeURIComponent(new URL(Deno.mainModule).pathname),
  };
}

/** Whether a standard stream is a terminal. */
export function isTerminal(stream: "stdin" | "stdout"): boolean {
  return Deno[stream].isTerminal();
}

/** Ends the process. */
export function exitProcess(code: number): never {
  Deno.exit(code);
}

/**
 * Gives up what a daemon of the family never needs: network addresses, child processes by the runtime's own
 * means, environment changes.
 *
 * FFI remains and is as powerful as the process itself: this guards against mistakes, not against an
 * intruder.
 */
export function dropPermissions(): void {
  for (const name of ["net", "run", "write", "sys"] as const) Deno.permissions.revokeSync({ name });
}
