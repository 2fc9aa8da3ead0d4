// Made wrong: a release compares nothing, neither the session nor whose the lock is.
import { main } from "../../../src/lockd/cli/main.ts";
import { changeTransactions, isRelease } from "./asked.ts";

changeTransactions((transaction) => isRelease(transaction) ? { ...transaction, compare: [] } : transaction);

await main();
