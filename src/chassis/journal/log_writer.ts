import { invariant } from "../../base/invariant.ts";
import { SystemError } from "../../os/system_error.ts";
import type { EventLoop } from "../event/event_loop.ts";
import type { Log } from "../log/log.ts";
import type { Exchange } from "../rpc/exchange.ts";
import type { LogFile } from "./log_file.ts";

/** Without memory for the log it is tried again after so many ms. */
const RETRY_MS = 1000;

/** What a log begins with and is written anew from. */
export interface Recording<O> {
  readonly exchange: Pick<Exchange, "promiseReply">;
  /** The daemon's whole state as operations. */
  readonly snapshot: () => Iterable<O>;
}

/** Where a log is in its life. */
type Life<O> =
  /** It holds what the last life of the daemon has left. */
  | { readonly kind: "idle" }
  | { readonly kind: "recording"; readonly recording: Recording<O> }
  /** There is no memory: what happens now is in the snapshot that ends the trouble, or lost. */
  | { readonly kind: "failed"; readonly recording: Recording<O>; readonly trouble: string }
  /** Emptied, because a daemon takes over that does not know it. */
  | { readonly kind: "left"; readonly recording: Recording<O> };

/** What writes a log. */
export interface LogWriterParts<O> {
  readonly log: Pick<LogFile<O>, "append" | "rewrite" | "fallBehind" | "overgrown">;
  readonly loop: Pick<EventLoop, "defer" | "after">;
  readonly logger: Log;
  /**
   * Asked before the log is written anew from a snapshot: whether everything that the snapshot names is
   * recorded and stored. If not, `again` is called when it is time to look again.
   */
  readonly isWhole: (again: () => void) => boolean;
}

/**
 * Writes a log: from the beginning of a life to its end, anew when it has grown, and again where there was no
 * memory for it. Then the daemon goes on serving, and says that it is not safe against a crash.
 */
export class LogWriter<O> {
  readonly #parts: LogWriterParts<O>;
  #life: Life<O> = { kind: "idle" };
  /** Whether it is to be written anew. */
  #compacting = false;

  constructor(parts: LogWriterParts<O>) {
    this.#parts = parts;
  }

  /** Where it is in its life. */
  get kind(): Life<O>["kind"] {
    return this.#life.kind;
  }

  /** What it is written from; undefined before it has begun. */
  get recording(): Recording<O> | undefined {
    return this.#life.kind === "idle" ? undefined : this.#life.recording;
  }

  /** Whether what happens now is recorded, or is to be. */
  get records(): boolean {
    return this.#life.kind === "recording" || this.#life.kind === "failed";
  }

  /** Why nothing can be recorded; undefined when it can. */
  get trouble(): string | undefined {
    return this.#life.kind === "failed" ? this.#life.trouble : undefined;
  }

  /** Begins a life: the log is written anew. */
  begin(recording: Recording<O>): void {
    this.#life = { kind: "recording", recording };
    this.rewrite();
    // Perhaps nothing is recorded for a long time now.
    if (this.trouble !== undefined) this.#compactLater();
  }

  /** Empties the log and records nothing more, until it begins again. Harmless before it has begun. */
  leave(): void {
    const life = this.#life;
    if (life.kind === "idle") return;
    this.#write(life, () => this.#parts.log.rewrite([]));
    this.#life = { kind: "left", recording: life.recording };
  }

  /** Writes the whole state anew. */
  rewrite(): void {
    const life = this.#life;
    if (life.kind !== "recording" && life.kind !== "failed") return;
    this.#write(life, () => this.#parts.log.rewrite(life.recording.snapshot()));
  }

  /** Records operations as one. */
  commit(operations: readonly O[]): void {
    const life = this.#life;
    switch (life.kind) {
      case "left":
        return;
      case "idle":
        invariant(operations.length === 0, "Something is committed before the log has begun");
        return;
      case "failed":
        // What could not be recorded is in the snapshot that ends the trouble.
        return this.#compactLater();
      case "recording":
        this.#write(life, () => this.#parts.log.append(operations));
        return this.#compactIfDue();
    }
  }

  #compactIfDue(): void {
    if (this.#life.kind === "failed" || this.#parts.log.overgrown) this.#compactLater();
  }

  /** At the end of the turn, when no reply is between its record and its first byte. */
  #compactLater(): void {
    if (this.#compacting) return;
    this.#compacting = true;
    const { loop, isWhole } = this.#parts;
    const compact = () => {
      this.#compacting = false;
      // Perhaps nothing is recorded for a long time now.
      if (isWhole(() => this.#compactIfDue())) this.rewrite();
      if (this.#life.kind === "failed") this.#compactLater();
    };
    if (this.#life.kind === "failed") loop.after(RETRY_MS, compact);
    else loop.defer(compact);
  }

  #write(life: Exclude<Life<O>, { kind: "idle" }>, write: () => void): void {
    const { log, logger } = this.#parts;
    const { recording } = life;
    try {
      write();
      if (life.kind !== "failed") return;
      logger.warn("The journal works again");
      this.#life = { kind: "recording", recording };
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (life.kind !== "failed") {
        log.fallBehind();
        logger.error(
          `The journal cannot be written, a crash would lose what happens now: ${error.message}`,
        );
      }
      this.#life = { kind: "failed", recording, trouble: error.message };
    }
  }
}
