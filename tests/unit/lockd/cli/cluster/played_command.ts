import type { Command } from "../../../../../src/chassis/cli/command.ts";
import { CommandError } from "../../../../../src/chassis/cli/command.ts";
import type { Confirmation } from "../../../../../src/chassis/cli/confirm.ts";
import { decodeToLink } from "../../../../../src/etcd/wire/decode_to_link.ts";
import { encodeLine, LINK_PROTOCOL } from "../../../../../src/etcd/wire/link_messages.ts";
import { S_IFSOCK } from "../../../../../src/os/constants.ts";
import { EAGAIN } from "../../../../../src/os/errno.ts";
import { linuxSys } from "../../../../../src/os/linux.ts";
import type { Sys } from "../../../../../src/os/sys.ts";
import { context, given } from "../cli_fixture.ts";
import type { PlayedCluster } from "./played_cluster.ts";

const FD = 1000;
/** How the command is told which cluster it is about. */
const CLUSTER = ["--endpoints", "http://etcd:2379", "--name", "test", "--link", "/run/link"];

/** What has come of a command. */
export interface Outcome {
  /** What it has been asked at a terminal. */
  readonly questions: readonly string[];
  /** What it says besides. */
  readonly warnings: readonly string[];
  /** What it has printed, or its exit code and what it has failed with. */
  readonly said: string;
}

/**
 * Says a command about a played cluster, in the test's process. It waits in the cluster's time.
 *
 * @param answer of whoever sits at the terminal
 */
export async function say(
  played: PlayedCluster,
  command: Command,
  args: readonly string[],
  answer: Confirmation = "nobody",
): Promise<Outcome> {
  const questions: string[] = [];
  const warnings: string[] = [];
  const told = context(sysWith(played), {
    confirm: (question) => {
      questions.push(question);
      return answer;
    },
    warn: (message) => void warnings.push(message),
  });
  try {
    await command.run(told, given(command, ...CLUSTER, ...args));
    return { questions, warnings, said: told.out.text };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return { questions, warnings, said: `${error.code} ${error.message}` };
  }
}

/** The kernel, with a link with the cluster's etcd at every path. */
function sysWith(played: PlayedCluster): Sys {
  let answers = new Uint8Array(0);
  return {
    ...linuxSys(),
    stat: (_path, status) => {
      status.mode = S_IFSOCK;
      return 0;
    },
    socket: () => FD,
    connect: () => 0,
    close: () => 0,
    monotonic: () => played.now,
    send: (_fd, bytes) => {
      const message = decodeToLink(new TextDecoder().decode(bytes).trimEnd());
      if (message === undefined) throw new Error("A link was sent what is no message");
      const answer = message.kind === "open"
        ? { kind: "opened", protocol: LINK_PROTOCOL } as const
        : { kind: "answer", id: message.id, answer: played.answer(message.question) } as const;
      answers = new TextEncoder().encode(encodeLine(answer));
      return bytes.length;
    },
    pollReadable: (fd, milliseconds) => {
      if (fd !== FD) played.now += milliseconds;
      return fd === FD ? 1 : 0;
    },
    read: (_fd, into) => {
      if (answers.length === 0) return -EAGAIN;
      const count = Math.min(into.length, answers.length);
      into.set(answers.subarray(0, count));
      answers = answers.slice(count);
      return count;
    },
  };
}
