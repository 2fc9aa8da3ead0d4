/** The streams of some clients, to be sent again. */
export interface Recording {
  /** Which fuzzer found it. */
  readonly target: "live" | "core";
  /** What was wrong, and how to find it again: comment lines. */
  readonly comment: string;
  /** Pieces in the order in which they were sent. */
  readonly pieces: readonly Piece[];
}

/** Bytes that a client sent at once. */
export interface Piece {
  readonly client: number;
  /** Whether the client is on the admin socket. */
  readonly admin: boolean;
  readonly bytes: Uint8Array;
}

const HEADER = "virtlockd fuzz input";

/** A recording as text: a line for each piece. */
export function formatRecording({ target, comment, pieces }: Recording): string {
  const lines = [`${HEADER}: ${target}`, ...comment.split("\n").map((line) => `# ${line}`)];
  for (const { client, admin, bytes } of pieces) {
    lines.push(`${client} ${admin ? "admin" : "lock"} ${bytes.toHex()}`);
  }
  return `${lines.join("\n")}\n`;
}

/** Reads what {@link formatRecording} wrote. @throws Error naming the line that is none */
export function parseRecording(text: string): Recording {
  const [first = "", ...rest] = text.trimEnd().split("\n");
  const target = first.slice(HEADER.length + 2);
  if (!first.startsWith(HEADER) || (target !== "live" && target !== "core")) {
    throw new Error(`Read fuzz input: the first line is '${first}', wanted '${HEADER}: live' or core`);
  }
  const comment = rest.filter((line) => line.startsWith("#")).map((line) => line.slice(2)).join("\n");
  const pieces = rest.filter((line) => !line.startsWith("#")).map((line) => {
    const [, client, socket, hex] = /^(\d+) (lock|admin) ((?:[0-9a-f]{2})+)$/.exec(line) ?? [];
    if (hex === undefined) throw new Error(`Read fuzz input: '${line}' is not CLIENT SOCKET HEX`);
    return { client: Number(client), admin: socket === "admin", bytes: Uint8Array.fromHex(hex) };
  });
  return { target, comment, pieces };
}
