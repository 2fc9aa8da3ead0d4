import type { JournalMemory } from "../../chassis/journal/journal_memory.ts";
import type { ByteOperation } from "../../chassis/journal/client_bytes.ts";
import { LogFile } from "../../chassis/journal/log_file.ts";
import type { LogFormat } from "../../chassis/journal/log_format.ts";
import { JournalState } from "./journal_state.ts";
import { OperationDecoder } from "./operation_decoder.ts";
import { OperationEncoder } from "./operation_encoder.ts";
import type { Operation } from "./operations.ts";

/** How the lock daemon writes what it records. */
const FORMAT: LogFormat<Operation> = {
  encoder: () => new OperationEncoder(),
  decoder: () => new OperationDecoder(),
  bytesOf,
};

/** What was found in a journal. */
export interface FoundLog {
  readonly state: JournalState;
  /** What is wrong with it; undefined when nothing is. */
  readonly damage: string | undefined;
  readonly log: LogFile<Operation>;
}

/** Makes an empty journal. @throws SystemError when there is no memory */
export function createLog(memory: JournalMemory): LogFile<Operation> {
  return LogFile.create(memory, FORMAT);
}

/**
 * Reads a journal that an earlier daemon has left. Changes nothing.
 *
 * @returns the reason when it is none, or one that this program cannot read
 */
export function readLog(memory: JournalMemory): FoundLog | string {
  const state = new JournalState();
  const read = LogFile.read(memory, FORMAT, (operation) => state.apply(operation));
  return typeof read === "string" ? read : { ...read, state };
}

/**
 * Finds out only how far the log of an earlier image reaches: see LogFile.passOver().
 *
 * @returns the reason when it is none, or one that this program cannot read
 */
export function passOverLog(memory: JournalMemory): LogFile<Operation> | string {
  return LogFile.passOver(memory, FORMAT);
}

function bytesOf(operation: Operation): ByteOperation | undefined {
  switch (operation.op) {
    case "gone":
    case "input":
    case "added":
    case "output":
    case "served":
      return operation;
    default:
      operation satisfies Exclude<Operation, ByteOperation>;
      return undefined;
  }
}
