import type { CommandContext } from "../../../chassis/cli/command.ts";
import { hostName } from "../../../os/host_facts.ts";
import type { Word } from "./fencer.ts";

/** Who calls the command, from where, and when: what is kept of a word. */
export function wordOf({ sys, env, now }: CommandContext): Word {
  const by = env["SUDO_USER"] ?? sys.userName(sys.uid());
  return { by, from: hostName(sys), at: now() };
}
