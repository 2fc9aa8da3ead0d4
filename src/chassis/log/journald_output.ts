import { joined } from "../../base/joined.ts";
import { EIO, EMSGSIZE } from "../../os/errno.ts";
import type { Sys } from "../../os/sys.ts";
import { encodeText } from "../../os/text.ts";
import { DatagramSocket } from "./datagram_socket.ts";
import { entrySeverity, type LogEntry, SYSLOG_FACILITY } from "./log_entry.ts";
import type { LogDestination } from "./log_output.ts";

const F_ADD_SEALS = 1033;
/**
 * F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW and F_SEAL_WRITE: journald refuses a memfd that could still change.
 */
const ALL_SEALS = 1 | 2 | 4 | 8;
const EMPTY = new Uint8Array(0);

/**
 * systemd's journal, by its native protocol (systemd.io, "Native Journal Protocol"): one datagram of fields
 * per entry, and a sealed memfd in its stead when the entry is larger than a datagram may be.
 */
export class JournaldOutput implements LogDestination {
  readonly #sys: Sys;
  readonly #ident: string;
  readonly #socket: DatagramSocket;

  /**
   * Connects when the first entry comes.
   *
   * @param path socket of the journal, `/run/systemd/journal/socket`
   */
  constructor(sys: Sys, path: string, ident: string) {
    this.#sys = sys;
    this.#ident = ident;
    this.#socket = new DatagramSocket(sys, path);
  }

  send(entry: LogEntry): number {
    const bytes = journalEntry(entry, this.#ident);
    const result = this.#socket.send(bytes);
    return result === -EMSGSIZE ? this.#sendAsFile(bytes) : result;
  }

  reopen(): number {
    this.#socket.close();
    return 0;
  }

  close(): void {
    this.#socket.close();
  }

  #sendAsFile(bytes: Uint8Array): number {
    const sys = this.#sys;
    const memfd = sys.memfd("log-entry");
    if (memfd < 0) return memfd;
    try {
      const written = sys.write(memfd, bytes);
      if (written !== bytes.length) return written < 0 ? written : -EIO;
      const sealed = sys.fcntl(memfd, F_ADD_SEALS, ALL_SEALS);
      return sealed < 0 ? sealed : this.#socket.send(EMPTY, [memfd]);
    } finally {
      sys.close(memfd);
    }
  }
}

/** The fields of an entry in journald's native form. */
export function journalEntry(entry: LogEntry, ident: string): Uint8Array {
  const fields = [
    field("MESSAGE", entry.text),
    field("PRIORITY", `${entrySeverity(entry)}`),
    field("SYSLOG_FACILITY", `${SYSLOG_FACILITY}`),
    field("SYSLOG_IDENTIFIER", ident),
    field("LIBVIRT_SOURCE", entry.category),
    field("CODE_FILE", entry.file),
  ];
  for (const [name, value] of Object.entries(entry.fields)) {
    if (value === undefined) continue;
    for (const each of typeof value === "object" ? value : [value]) {
      fields.push(field(fieldName(name), `${each}`));
    }
  }
  return joined(fields);
}

/** `ownerPid` becomes LIBVIRT_OWNER_PID. journald takes capital letters, digits and underscores only. */
function fieldName(name: string): string {
  const words = name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
  return `LIBVIRT_${words.replace(/[^A-Z0-9_]/g, "_")}`;
}

/**
 * `NAME=value`; a value with a newline instead as name, newline, its length in 8 bytes (little endian),
 * value.
 */
function field(name: string, value: string): Uint8Array {
  if (!value.includes("\n")) return encodeText(`${name}=${value}\n`);
  const bytes = encodeText(value);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(bytes.length), true);
  return joined([encodeText(`${name}\n`), length, bytes, encodeText("\n")]);
}
