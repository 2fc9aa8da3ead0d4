// Made wrong: a release does not compare the session, so that a bump does not make it void.
import { main } from "../../../src/lockd/cli/main.ts";
import { changeTransactions, isRelease } from "./asked.ts";

changeTransactions((transaction) =>
  isRelease(transaction)
    ? { ...transaction, compare: transaction.compare.filter(({ kind }) => kind !== "changed-at") }
    : transaction
);

await main();
