import type { KeyOperation, KeyValue } from "../../../etcd/wire/transaction.ts";
import { reasonOf } from "../etcd/etcd.ts";
import type { ClusterSession } from "./session.ts";

/** So many keys are read with one question. */
export const PAGE = 2000;
/** So many questions at once: one for etcd, one for the link and one for the daemon to work on. */
const AT_ONCE = 3;

/** Keys behind one up to another one, itself included; undefined: from the first, to the last. */
interface Range {
  readonly after: string | undefined;
  readonly upTo: string | undefined;
}

/**
 * Everything below a prefix. What changes between two questions is there or not.
 *
 * @param done called once; gets the keys, or why they could not be read
 * @param splits keys below the prefix, whether they are there or not, of ASCII characters (etcd's order is
 *   that of bytes): what lies between two of them is read beside the rest
 */
export function listAll(
  session: Pick<ClusterSession, "ask">,
  prefix: string,
  done: (found: readonly KeyValue[] | string) => void,
  splits: readonly string[] = [],
): void {
  const ends = [...new Set(splits)].sort();
  const ranges = [...ends, undefined].map((upTo, index): Range => ({ after: ends[index - 1], upTo }));
  const all: KeyValue[] = [];
  let waiting = 0;
  let failed = false;
  const begin = (): void => {
    const range = ranges.shift();
    if (range === undefined) {
      if (waiting === 0) done(all);
      return;
    }
    waiting++;
    next(range);
  };
  const next = (range: Range): void => {
    session.ask({ compare: [], success: [listOf(prefix, range)], failure: [] }, (answer) => {
      if (failed) return;
      if (answer.kind !== "transaction") {
        failed = true;
        return done(reasonOf(answer));
      }
      const [page] = answer.result.results;
      for (const entry of page?.found ?? []) all.push(entry);
      const last = page?.found.at(-1);
      if (page?.more === true && last !== undefined) return next({ ...range, after: last.key });
      waiting--;
      begin();
    });
  };
  for (let index = 0; index < AT_ONCE; index++) if (ranges.length > 0) begin();
}

function listOf(prefix: string, { after, upTo }: Range): KeyOperation {
  return {
    op: "list",
    prefix,
    limit: PAGE,
    ...after === undefined ? {} : { after },
    ...upTo === undefined ? {} : { upTo },
  };
}
