import type { RpcFailure } from "../../src/chassis/wire/rpc_error.ts";
import type { Work, WorkRequest } from "../../src/storaged/work/work_request.ts";

/** An operation that waits for the test to say what comes of it. */
export interface AskedWork {
  readonly name: string;
  readonly args: unknown;
  readonly place: string;
  readonly limit: number | undefined;
  readonly silence: number | undefined;
  readonly done: (result: unknown) => void;
  readonly failed: (failure: RpcFailure) => void;
}

/** Workers whose operations a test plays. */
export class PlayedWork {
  readonly asked: AskedWork[] = [];
  closed = false;

  readonly run = <A, R>(request: WorkRequest<A, R>): Work => {
    const { operation, args, place, limit, silence, done, failed, over = () => {} } = request;
    this.asked.push({
      name: operation.name,
      args,
      place,
      limit,
      silence,
      done: (result) => {
        over();
        done(result as R);
      },
      failed: (failure) => {
        over();
        failed(failure);
      },
    });
    return { running: true, silentFor: 0, cancel: () => {}, giveUp: () => {} };
  };

  readonly close = (): void => {
    this.closed = true;
  };

  /** Takes the oldest operation, which must have that name. */
  take(name: string): AskedWork {
    const next = this.asked.shift();
    if (next?.name !== name) throw new Error(`Asked for ${next?.name ?? "nothing"}, not for ${name}`);
    return next;
  }
}
