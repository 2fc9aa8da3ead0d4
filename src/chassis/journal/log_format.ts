import type { ByteOperation } from "./client_bytes.ts";

/**
 * Operations as a record holds them: JSON arrays that begin with a code, and behind the text all their bytes,
 * in order.
 */
export interface Payload {
  readonly text: string;
  readonly bytes: readonly Uint8Array[];
}

/** Makes payloads of operations, for one log after the other. */
export interface RecordEncoder<O> {
  /** The payload of the next record. It has to be written, else those behind it may mean what nobody has. */
  encode(operations: readonly O[]): Payload;
  /** What follows is for a new log. */
  restart(): void;
}

/** Reads the payloads of one log, from its first record on. */
export interface RecordDecoder<O> {
  /**
   * The operations of a record, which its checksum has proven to be what was written.
   *
   * @param bytes a view; the operations get copies
   * @throws SyntaxError when the text is no JSON, or has an operation that this program does not know
   */
  decode(text: string, bytes: Uint8Array): readonly O[];
  /** An encoder that goes on with the log. */
  encoder(): RecordEncoder<O>;
}

/** How a daemon writes what it records. */
export interface LogFormat<O> {
  /** For an empty log. */
  encoder(): RecordEncoder<O>;
  decoder(): RecordDecoder<O>;
  /** An operation as one about bytes of clients, if it is one. */
  bytesOf(operation: O): ByteOperation | undefined;
}
