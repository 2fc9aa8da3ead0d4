// Made wrong: when the outcome of a transaction is not known, the session is not written anew. What is still
// on its way may come after it was looked up.
import { main } from "../../../src/lockd/cli/main.ts";
import { reasonOf } from "../../../src/lockd/cluster/etcd/etcd.ts";
import { ClusterSession } from "../../../src/lockd/cluster/session/session.ts";
import { changeTransactions } from "./asked.ts";

/** Why outcomes were not known. What else makes a host doubt stays as it is. */
const unknown = new Set<string>();

changeTransactions((transaction) => transaction, (answer) => {
  if (answer.kind === "unknown") unknown.add(reasonOf(answer));
});

const { doubt } = ClusterSession.prototype;
ClusterSession.prototype.doubt = function (reason) {
  if (!unknown.has(reason)) doubt.call(this, reason);
};

await main();
