import { SOCK_DGRAM } from "../../../../src/os/constants.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { must } from "../../../../src/os/system_error.ts";
import type { LogEntry } from "../../../../src/chassis/log/log_entry.ts";

/** 2026-11-21 02:55:58.250 UTC. */
export const TIME = Date.UTC(2026, 10, 21, 2, 55, 58, 250);

/** An entry at warning level; parts may be replaced. */
export function entry(parts: Partial<LogEntry> = {}): LogEntry {
  return {
    time: TIME,
    pid: 21465,
    level: 3,
    category: "locking.lock_daemon",
    file: "src/lockd/daemon/daemon.ts",
    text: "text",
    fields: {},
    ...parts,
  };
}

/** The line of {@link entry} with this text. */
export function line(text: string): string {
  return `2026-11-21 02:55:58.250+0000: 21465: warning : locking.lock_daemon : ${text}\n`;
}

/** The real kernel with some calls replaced. */
export function sysWith(parts: Partial<Sys> = {}): Sys {
  return { ...linuxSys(), ...parts };
}

/** Runs a test with a directory that is removed afterwards. */
export function inDirectory(test: (directory: string) => void): () => void {
  return () => {
    const directory = Deno.makeTempDirSync({ prefix: "log-test-" });
    try {
      test(directory);
    } finally {
      Deno.removeSync(directory, { recursive: true });
    }
  };
}

/** A datagram service as journald and syslogd are one, in a directory of the test. */
export class DatagramServer {
  readonly #sys = linuxSys();
  readonly #path: string;
  readonly #fd: number;

  constructor(path: string) {
    this.#path = path;
    this.#fd = must(this.#sys.socket(SOCK_DGRAM, true), "socket", path);
    must(this.#sys.bind(this.#fd, path), "bind", path);
  }

  /**
   * The next message with its descriptors, or undefined when none is there. The test closes the descriptors.
   */
  receive(): { bytes: Uint8Array; descriptors: number[] } | undefined {
    const buffer = new Uint8Array(300_000);
    const message = this.#sys.receiveMessage(this.#fd, buffer, false);
    if (typeof message === "number") return undefined;
    return { bytes: buffer.slice(0, message.length), descriptors: message.descriptors };
  }

  /** The next message as text. */
  text(): string | undefined {
    const message = this.receive();
    return message === undefined ? undefined : new TextDecoder().decode(message.bytes);
  }

  /** Stops the service and removes its socket. */
  stop(): void {
    this.#sys.close(this.#fd);
    this.#sys.unlink(this.#path);
  }
}
