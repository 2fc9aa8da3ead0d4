import { JSON_OPTION, jsonText } from "../../../chassis/cli/asking.ts";
import { type Command, CommandError, CommandExit } from "../../../chassis/cli/command.ts";
import { UsageError } from "../../../chassis/config/usage_error.ts";
import type { MetaRecord } from "../../cluster/keys/meta_record.ts";
import { agree, NEEDS_YES } from "../../../chassis/cli/agreed.ts";
import { ClosedCluster, EXPECT_OPTIONS, hostsOf, waitOf } from "./closed_cluster.ts";
import { CLUSTER_OPTIONS } from "./cluster_settings.ts";
import { LeftOutHosts } from "./left_out_hosts.ts";
import { confirmAllNamed, OPENED_WITHOUT } from "./named_hosts.ts";
import { type OpenedCluster, withCluster } from "./opened_cluster.ts";
import { wordOf } from "./word.ts";

/** A cluster that was recovered: what `cluster recover --json` prints, see docs/json.md. */
export interface RecoveredCluster {
  readonly name: string;
  /** The hosts that have put in what they have. */
  readonly expect: readonly string[];
  /** The hosts whose locks were given up. */
  readonly without: readonly string[];
}

/** `virtlockd cluster recover`: says which hosts a cluster has whose etcd has lost something. */
export const clusterRecoverCommand: Command = {
  name: "cluster recover",
  purpose:
    "Recovers a cluster whose etcd was restored, emptied or exchanged: each host that is named puts in again " +
    "the locks that it has, and nothing new is locked before all have.",
  options: [
    ...EXPECT_OPTIONS,
    {
      name: "without",
      value: "HOST,...",
      summary: "hosts that are off and stay off until their guests are gone: their locks are given up",
    },
    {
      name: "dead",
      summary: "hosts of --without are dead: although one shows that it lives, or etcd does not know it",
    },
    { name: "yes", summary: "do not ask" },
    ...CLUSTER_OPTIONS,
    JSON_OPTION,
  ],
  run(context, args) {
    const expect = hostsOf(args, "expect");
    const without = hostsOf(args, "without");
    const both = expect.find((host) => without.includes(host));
    if (both !== undefined) throw new UsageError(`Host "${both}" cannot be expected and be left out`);
    const dead = args.has("dead");
    if (dead && without.length === 0) throw new UsageError('Option "--dead" needs "--without"');
    const wait = waitOf(args);
    const recovered = withCluster(context, args, (opened): RecoveredCluster => {
      const word = wordOf(context);
      const out = new LeftOutHosts({ ...opened, expect, without, dead, word });
      const cluster = new ClosedCluster(opened);
      cluster.change((meta) => {
        confirmNotNew(meta);
        return undefined;
      });
      confirmAllNamed(opened, [...expect, ...without], NAME_OR_LEAVE_OUT);
      out.confirm();
      // That a host is off nobody here can know.
      if (without.length > 0) agree(context, args, "Nothing was changed", questionOf(without), NEEDS_YES);
      out.condemn();
      recover(
        opened,
        cluster,
        { expect, without, wait, why: `asked for by ${word.by} on ${word.from}` },
        out,
      );
      return { name: opened.settings.clusterName, expect, without };
    });
    context.out.write(args.has("json") ? jsonText(recovered) : "The cluster is open again.\n");
    return CommandExit.OK;
  },
};

const NAME_OR_LEAVE_OUT =
  "Name every host: with --expect, or with --without one that is off and stays off until none of its guests is " +
  "left. One that is no more is fenced, or made to leave, before";

/** Says which hosts there are, and waits for them. */
function recover(
  opened: OpenedCluster,
  cluster: ClosedCluster,
  { expect, without, wait, why }: {
    readonly expect: readonly string[];
    readonly without: readonly string[];
    readonly wait: number;
    readonly why: string;
  },
  out: LeftOutHosts,
): void {
  const named = [...expect, ...without];
  const closed = (meta: MetaRecord): MetaRecord => {
    // What etcd had lost may have come back by now.
    confirmAllNamed(opened, named, NAME_OR_LEAVE_OUT);
    return { ...meta, expect, without };
  };
  cluster.change((meta) => {
    confirmNotNew(meta);
    return closed(
      meta.phase === "recovering" ? meta : { ...meta, phase: "recovering", round: crypto.randomUUID(), why },
    );
  }, () => out.fenced());
  out.sweep();
  // Each host that has seen more than there is now closes the cluster when it notices that, and each does
  // so at its own time. Who has said which hosts there are need not look, and say it again for each.
  cluster.awaitOpen(wait, () => {
    cluster.change((meta) => meta.phase === "recovering" ? closed(meta) : undefined, () => out.fenced());
  });
  confirmAllNamed(opened, named, OPENED_WITHOUT);
}

/** @throws CommandError for a cluster that has nothing to recover */
function confirmNotNew({ phase }: MetaRecord): void {
  if (phase !== "forming") return;
  throw new CommandError(
    CommandExit.PROBLEM,
    "The cluster is new, and has nothing to recover: 'virtlockd cluster open --help'",
  );
}

function questionOf(without: readonly string[]): string {
  return `Are ${
    without.join(", ")
  } off, and will stay off until none of their guests is left? If one of them runs, two ` +
    'guests may write to one disk. Type "yes" if they are: ';
}
