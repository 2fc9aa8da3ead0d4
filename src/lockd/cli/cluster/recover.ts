import { JSON_OPTION, jsonText } from "../../../chassis/cli/asking.ts";
import type { Arguments } from "../../../chassis/cli/arguments.ts";
import {
  type Command,
  type CommandContext,
  CommandError,
  CommandExit,
} from "../../../chassis/cli/command.ts";
import { UsageError } from "../../../chassis/config/usage_error.ts";
import type { MetaRecord } from "../../cluster/keys/meta_record.ts";
import { agree, NEEDS_YES } from "../../../chassis/cli/agreed.ts";
import { ClosedCluster, EXPECT_OPTIONS, hostsOf, waitOf } from "./closed_cluster.ts";
import { CLUSTER_OPTIONS } from "./cluster_settings.ts";
import { knownSessions, namesMeant } from "./known_hosts.ts";
import { LeftOutHosts } from "./left_out_hosts.ts";
import { confirmAllNamed, confirmMembers, OPENED_WITHOUT } from "./named_hosts.ts";
import { type OpenedCluster, withCluster } from "./opened_cluster.ts";
import { leftOutUnknown } from "./unknown_names.ts";
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
    { name: "yes", summary: "do not ask: with --without, and where the cluster is open" },
    ...CLUSTER_OPTIONS,
    JSON_OPTION,
  ],
  run(context, args) {
    const named = { expect: hostsOf(args, "expect"), without: hostsOf(args, "without") };
    const both = named.expect.find((host) => named.without.includes(host));
    if (both !== undefined) throw new UsageError(`Host "${both}" cannot be expected and be left out`);
    const dead = args.has("dead");
    if (dead && named.without.length === 0) throw new UsageError('Option "--dead" needs "--without"');
    const wait = waitOf(args);
    const recovered = withCluster(context, args, (opened): RecoveredCluster => {
      const word = wordOf(context);
      const cluster = new ClosedCluster(opened, context.warn);
      // No host may have noticed yet that etcd was emptied.
      cluster.awaitHost(wait, opened.settings.clusterName);
      const known = knownSessions(opened.questions, opened.keys);
      const expect = namesMeant(known, named.expect);
      const without = namesMeant(known, named.without);
      const out = new LeftOutHosts({ ...opened, expect, without, dead, word });
      let isOpen = false;
      cluster.change((meta) => {
        confirmNotNew(meta);
        isOpen = meta.phase === "open";
        return undefined;
      });
      confirmAllNamed(opened, [...expect, ...without], NAME_OR_LEAVE_OUT);
      out.confirm();
      if (out.unknown.length > 0) context.warn(leftOutUnknown(out.unknown));
      agreeTo(context, args, { isOpen, without });
      out.condemn();
      recover(
        opened,
        cluster,
        {
          expect,
          without,
          wait,
          why: `asked for by ${word.by} on ${word.from}`,
          mayClose: isOpen || args.has("yes"),
        },
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
  { expect, without, wait, why, mayClose }: {
    readonly expect: readonly string[];
    readonly without: readonly string[];
    readonly wait: number;
    readonly why: string;
    /** Whether a cluster that is open is closed: somebody has said so. */
    readonly mayClose: boolean;
  },
  out: LeftOutHosts,
): void {
  const named = [...expect, ...without];
  let said: string | undefined;
  const closed = (meta: MetaRecord): MetaRecord => {
    // What etcd had lost may have come back by now.
    confirmAllNamed(opened, named, NAME_OR_LEAVE_OUT);
    return { ...meta, expect, without };
  };
  cluster.change((meta) => {
    confirmNotNew(meta);
    // It was named before, which etcd has not told, and all have put in what they have since.
    if (meta.phase === "open" && meta.round === said) return undefined;
    if (meta.phase === "open" && !mayClose) throw new CommandError(CommandExit.PROBLEM, OPENED_MEANWHILE);
    const next = meta.phase === "recovering"
      ? meta
      : { ...meta, phase: "recovering", round: crypto.randomUUID(), why } as const;
    said = next.round;
    return closed(next);
  }, () => out.fenced());
  out.sweep();
  // Each host that has seen more than there is now closes the cluster when it notices that, and each does
  // so at its own time. Who has said which hosts there are need not look, and say it again for each.
  cluster.awaitOpen(wait, () => {
    cluster.change((meta) => meta.phase === "recovering" ? closed(meta) : undefined, () => out.fenced());
  });
  confirmAllNamed(opened, named, OPENED_WITHOUT);
  confirmMembers(opened, expect);
}

/** @throws CommandError for a cluster that has nothing to recover */
function confirmNotNew({ phase }: MetaRecord): void {
  if (phase !== "forming") return;
  throw new CommandError(
    CommandExit.PROBLEM,
    "The cluster is new, and has nothing to recover: 'virtlockd cluster open --help'",
  );
}

const OPENED_MEANWHILE =
  "The cluster is open by now, for somebody else has said which hosts it has: it was not closed once more. Look at " +
  "'virtlockd cluster hosts', and say the same again if it is still to be done";

/** Asks for what nobody here can know, and before an open cluster is closed. @throws CommandError */
function agreeTo(
  context: CommandContext,
  args: Arguments,
  { isOpen, without }: { readonly isOpen: boolean; readonly without: readonly string[] },
): void {
  const undone = "Nothing was changed";
  if (!isOpen) {
    if (without.length > 0) agree(context, args, undone, areOff(without), NEEDS_YES);
    return;
  }
  const end = without.length > 0 ? `${FENCE_INSTEAD} ${areOff(without)}` : 'Type "yes" to recover it: ';
  const alone = `${undone}: the ${IS_OPEN}: then "--yes" is needed, without a terminal to ask at`;
  agree(context, args, undone, `The ${IS_OPEN}. ${end}`, alone);
}

const IS_OPEN =
  "cluster is open, and nothing that etcd tells calls for a recovery. Recovering closes it: guests run on, but no " +
  "host gets a new lock before every host that is named has put in what it has. That is right where etcd was " +
  "restored, emptied or exchanged, and no host has noticed it yet";
const FENCE_INSTEAD = "For hosts that are dead nothing has to be closed: 'virtlockd cluster fence HOST'.";

function areOff(without: readonly string[]): string {
  return `Are ${
    without.join(", ")
  } off, and will stay off until none of their guests is left? If one of them runs, two ` +
    'guests may write to one disk. Type "yes" if they are: ';
}
