import { EventLoop, type Timer } from "../../chassis/event/event_loop.ts";
import { RpcFailure } from "../../chassis/wire/rpc_error.ts";
import { EPOLLIN } from "../../os/constants.ts";
import { EAGAIN, EINTR } from "../../os/errno.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { storageSystemError } from "../model/storage_error.ts";
import { type Operation, WorkCancelled, type WorkContext } from "./operation.ts";
import { programActivity } from "./program_activity.ts";
import { type ProgramRequest, runProgram } from "./program_run.ts";
import {
  batchPiece,
  encodePieces,
  failureFields,
  type FromHelper,
  PIECE_SIZE,
  PieceReader,
  type ToHelper,
  WORK_SOCKET,
} from "./work_message.ts";

/** At most so often is the daemon told how far something is, in ms. */
const PROGRESS_MS = 200;
/**
 * So often is it told that a program is still waited for, in ms: one that has a time limit of its own, or
 * that has done something since.
 */
const WAITING_MS = 500;

/** An operation whose arguments only it itself knows. */
export type AnyOperation = Operation<never, unknown>;

/**
 * A helper process: does one operation after the other, for as long as the daemon holds the other end.
 *
 * @returns exit code
 */
export function runHelper(sys: Sys, operations: readonly AnyOperation[]): number {
  return new Helper(sys, operations).serve();
}

/** The helper's life. */
class Helper {
  readonly #sys: Sys;
  readonly #loop: EventLoop;
  readonly #operations: ReadonlyMap<string, AnyOperation>;
  readonly #reader = new PieceReader<ToHelper>();
  readonly #piece = new Uint8Array(PIECE_SIZE);
  readonly #inbox: { request: Extract<ToHelper, { kind: "run" }>; descriptors: number[] }[] = [];
  /** Those of the message whose pieces are still coming. */
  #descriptors: number[] = [];
  #ended = false;
  #cancelled = -1;

  constructor(sys: Sys, operations: readonly AnyOperation[]) {
    this.#sys = sys;
    this.#loop = new EventLoop(sys);
    this.#operations = new Map(operations.map((operation) => [operation.name, operation]));
  }

  serve(): number {
    this.#send({ kind: "ready" });
    this.#loop.add(WORK_SOCKET, EPOLLIN, () => this.#receive());
    while (!this.#ended) {
      const next = this.#inbox.shift();
      if (next === undefined) this.#loop.turn(-1);
      else this.#serve(next.request, next.descriptors);
    }
    return 0;
  }

  #receive(): void {
    const received = this.#sys.receiveMessage(WORK_SOCKET, this.#piece, false);
    if (received === -EAGAIN || received === -EINTR) return;
    if (typeof received === "number" || received.length === 0) {
      this.#ended = true;
      this.#loop.remove(WORK_SOCKET);
      return;
    }
    this.#descriptors.push(...received.descriptors);
    const message = this.#reader.add(this.#piece.subarray(0, received.length));
    if (message === undefined) return;
    if (message.kind === "cancel") {
      this.#cancelled = message.id;
      return;
    }
    this.#inbox.push({ request: message, descriptors: this.#descriptors });
    this.#descriptors = [];
  }

  #serve({ id, operation, args }: Extract<ToHelper, { kind: "run" }>, descriptors: number[]): void {
    try {
      this.#send(this.#outcome(id, operation, args, descriptors));
    } finally {
      for (const fd of descriptors) this.#sys.close(fd);
    }
  }

  #outcome(id: number, name: string, args: unknown, descriptors: readonly number[]): FromHelper {
    const operation = this.#operations.get(name);
    if (operation === undefined) return { kind: "crashed", id, trace: `There is no operation ${name}` };
    try {
      return { kind: "done", id, result: operation.run(args as never, this.#context(id, descriptors)) };
    } catch (error) {
      if (error instanceof WorkCancelled) return { kind: "cancelled", id };
      if (error instanceof RpcFailure) return { kind: "refused", id, failure: failureFields(error) };
      if (error instanceof SystemError) {
        const failure = storageSystemError(`${error.call} ${error.subject}`, error.errno, error.reason);
        return { kind: "refused", id, failure: failureFields(failure) };
      }
      return {
        kind: "crashed",
        id,
        trace: error instanceof Error ? error.stack ?? error.message : String(error),
      };
    }
  }

  #context(id: number, descriptors: readonly number[]): WorkContext {
    let told = -Infinity;
    /** Whether it is time to say something again. */
    const due = () => {
      const now = this.#sys.monotonic();
      if (now - told < PROGRESS_MS) return false;
      told = now;
      return true;
    };
    const alive = () => {
      if (due()) this.#send({ kind: "alive", id });
    };
    const orphaned = () => {
      if (this.#ended) throw new WorkCancelled();
    };
    const check = () => {
      orphaned();
      if (this.#cancelled === id) throw new WorkCancelled();
    };
    return {
      sys: this.#sys,
      descriptors,
      progress: (done, total) => {
        if (!due() && done < total) return;
        this.#send({ kind: "progress", id, done, total });
      },
      checkpoint: () => {
        if (!this.#ended) this.#loop.turn(0);
        check();
      },
      alive,
      batch: (bytes) => this.#sendPiece(batchPiece(bytes)),
      run: (request) => {
        const between = request.purpose === "undo" ? orphaned : check;
        between();
        const beat = this.#beat(request.limit === undefined ? this.#whenActive(request, alive) : alive);
        try {
          return runProgram(this.#sys, this.#loop, { ...request, heard: alive }, between);
        } finally {
          beat();
        }
      },
    };
  }

  /** Gives a sign of life when a program has got further since it was asked last. */
  #whenActive({ activity = () => "" }: ProgramRequest, alive: () => void): () => void {
    let before: string | undefined;
    return () => {
      const now = programActivity(this.#sys, this.#sys.pid()) + activity();
      if (before !== undefined && now !== before) alive();
      before = now;
    };
  }

  /** Gives signs of life again and again. @returns what ends that */
  #beat(alive: () => void): () => void {
    let timer: Timer;
    const next = () => {
      alive();
      timer = this.#loop.after(WAITING_MS, next);
    };
    timer = this.#loop.after(WAITING_MS, next);
    return () => timer.cancel();
  }

  #send(message: FromHelper): void {
    for (const piece of encodePieces(message)) this.#sendPiece(piece);
  }

  /** The socket is a blocking one for writing: a daemon that is busy is waited for. */
  #sendPiece(piece: Uint8Array): void {
    if (this.#ended) return;
    let sent = this.#sys.write(WORK_SOCKET, piece);
    while (sent === -EINTR) sent = this.#sys.write(WORK_SOCKET, piece);
    if (sent < 0) this.#ended = true;
  }
}
