import type { Growth } from "../soak/samples.ts";
import { formatRecording, type Recording } from "./seed_file.ts";

/** How long and from where a fuzzer runs. */
export interface FuzzOptions {
  readonly seed: number;
  readonly messages: number;
  /** Most seconds; Infinity for no limit. */
  readonly seconds: number;
  /** Whether the daemon never re-execs, so that its memory can be judged. */
  readonly oneImage?: boolean;
}

/** What a fuzzer did. */
export interface FuzzReport {
  readonly messages: number;
  /** Requests among them that succeeded; 0 where nothing can. */
  readonly succeeded: number;
  readonly seconds: number;
  /** Re-execs of the daemon meanwhile. */
  readonly reExecs: number;
  /** How the daemon's memory went, when it was judged. */
  readonly growth?: Growth | undefined;
}

/** A fuzzer found something. */
export class FuzzFailure extends Error {
  override readonly name = "FuzzFailure";
  /** To be kept as a file in tests/fuzz/seeds. */
  readonly recording: string;

  /** @param where fuzzer, seed and round: with them the whole run can be repeated */
  constructor(where: string, input: Omit<Recording, "comment">, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(`${where}: ${reason}`, { cause });
    this.recording = formatRecording({ ...input, comment: `${where}\n${reason.split("\n")[0]}` });
  }
}
