import type { Arguments } from "../../../chassis/cli/arguments.ts";
import { type CommandContext, CommandError, CommandExit } from "../../../chassis/cli/command.ts";
import { endpointsOf } from "../../cluster/host/endpoints.ts";
import { ClusterKeys } from "../../cluster/keys/keys.ts";
import { RecordError } from "../../cluster/keys/record_fields.ts";
import type { ClusterSettings } from "../../identity/cluster_settings.ts";
import { type ChosenCluster, chosenCluster } from "./cluster_settings.ts";
import { EtcdLink } from "./etcd_link.ts";
import { EtcdQuestions } from "./etcd_questions.ts";

/** A cluster that a command is about, and can ask. */
export interface OpenedCluster {
  readonly settings: ClusterSettings;
  readonly keys: ClusterKeys;
  readonly questions: EtcdQuestions;
}

/**
 * Opens the cluster that is meant, and closes it when `use` has returned.
 *
 * @returns what `use` returns
 * @throws UsageError, CommandError; a record in etcd that is none is told as the latter
 */
export function withCluster<T>(
  context: CommandContext,
  args: Arguments,
  use: (cluster: OpenedCluster) => T,
): T {
  return withChosen(context, chosenCluster(context, args), use);
}

/** The same of a cluster that is known. @throws CommandError */
export function withChosen<T>(
  context: Pick<CommandContext, "sys" | "env">,
  { settings, link: path }: ChosenCluster,
  use: (cluster: OpenedCluster) => T,
): T {
  const env = Object.entries(context.env).map(([name, value]) => `${name}=${value ?? ""}`);
  using link = EtcdLink.open(context.sys, { path, env }, endpointsOf(settings));
  const keys = new ClusterKeys(settings.clusterName);
  try {
    return use({ settings, keys, questions: new EtcdQuestions(link) });
  } catch (error) {
    if (!(error instanceof RecordError)) throw error;
    throw new CommandError(
      CommandExit.PROBLEM,
      `etcd has what this program does not know: ${error.message}`,
      {
        cause: error,
      },
    );
  }
}

/**
 * What is said besides of a list that is empty, where there is no such cluster: its name may be mistyped, and
 * nobody may read then that nothing is locked. Empty where there is one.
 */
export function nobodyIn(
  { settings, questions, keys }: Pick<OpenedCluster, "questions" | "keys"> & {
    readonly settings: Pick<ClusterSettings, "clusterName">;
  },
): string {
  const isThere = questions.get(keys.meta)[0] !== undefined;
  return isThere ? "" : `: no host has joined a cluster '${settings.clusterName}' in this etcd`;
}
