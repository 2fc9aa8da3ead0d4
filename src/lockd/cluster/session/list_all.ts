import type { KeyValue } from "../../../etcd/wire/transaction.ts";
import { reasonOf } from "../etcd/etcd.ts";
import type { ClusterSession } from "./session.ts";

/** So many keys are read with one question. */
const PAGE = 2000;

/**
 * Everything below a prefix, in the order of the keys. What changes between two pages is there or not.
 *
 * @param done gets why it could not be read
 */
export function listAll(
  session: Pick<ClusterSession, "ask">,
  prefix: string,
  done: (found: readonly KeyValue[] | string) => void,
): void {
  const all: KeyValue[] = [];
  const next = (after: string | undefined): void => {
    const list = { op: "list", prefix, limit: PAGE, ...after === undefined ? {} : { after } } as const;
    session.ask({ compare: [], success: [list], failure: [] }, (answer) => {
      if (answer.kind !== "transaction") return done(reasonOf(answer));
      const [page] = answer.result.results;
      for (const entry of page?.found ?? []) all.push(entry);
      const last = page?.found.at(-1);
      if (page?.more !== true || last === undefined) return done(all);
      next(last.key);
    });
  };
  next(undefined);
}
