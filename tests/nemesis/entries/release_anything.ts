// Made wrong: a release compares nothing, neither the session nor whose the lock is.
import { main } from "../../../src/lockd/cli/main.ts";
import { changeTransactions } from "./asked.ts";
import { isRelease } from "./lock_changes.ts";

changeTransactions((transaction) => isRelease(transaction) ? { ...transaction, compare: [] } : transaction);

await main();
