import { encodeText } from "../../src/os/text.ts";
import { storageError } from "../../src/storaged/model/storage_error.ts";
import type { AnyOperation } from "../../src/storaged/work/helper.ts";
import type { Operation } from "../../src/storaged/work/operation.ts";

/** Gives back what it gets. */
export const echo: Operation<unknown, unknown> = { name: "echo", run: (args) => args };

/** Refuses. */
export const refuse: Operation<string, never> = {
  name: "refuse",
  run(detail) {
    throw storageError("no-pool", detail);
  },
};

/** Fails in a way that nobody has foreseen. */
export const crash: Operation<null, never> = {
  name: "crash",
  run() {
    throw new TypeError("unforeseen");
  },
};

/** Ends the helper in the middle of it. */
export const die: Operation<null, never> = { name: "die", run: () => Deno.exit(3) };

/** Writes into a descriptor that came along. */
export const writeInto: Operation<string, number> = {
  name: "write-into",
  run: (text, { sys, descriptors: [fd = -1] }) => sys.write(fd, encodeText(text)),
};

/** Goes on until it is cancelled, and says then that it has undone what it began. */
export const endless: Operation<{ witness: string }, never> = {
  name: "endless",
  run({ witness }, { checkpoint, progress, sys }) {
    try {
      for (let step = 1;; step++) {
        progress(step, 1_000_000_000);
        sys.pollReadable(-1, 5);
        checkpoint();
      }
    } finally {
      Deno.writeTextFileSync(witness, "undone");
    }
  },
};

/** Brings so many parts, each of as many bytes as one can have, with its number. */
export const inBatches: Operation<number, string> = {
  name: "in-batches",
  run(count, { batch }) {
    for (let part = 1; part <= count; part++) batch(new Uint8Array(65535).fill(part));
    return "all";
  },
};

/** Stands still as storage does that hangs. */
export const hang: Operation<null, never> = {
  name: "hang",
  run(_args, { sys }) {
    for (;;) sys.pollReadable(-1, 1000);
  },
};

/** Runs a program. */
export const program: Operation<readonly string[], unknown> = {
  name: "program",
  run: (argv, { run }) => run({ argv }),
};

/** Runs a program that has a time limit of its own, in ms. */
export const limited: Operation<{ argv: readonly string[]; limit: number }, unknown> = {
  name: "limited",
  run: ({ argv, limit }, { run }) => run({ argv, limit }),
};

/** Runs a program, and another one when nobody wants its result any more. */
export const undone: Operation<{ argv: readonly string[]; undo: readonly string[] }, unknown> = {
  name: "undone",
  run({ argv, undo }, { run }) {
    try {
      return run({ argv });
    } finally {
      run({ argv: undo, purpose: "undo" });
    }
  },
};

/** All of them. */
export const WORK_OPERATIONS: readonly AnyOperation[] = [
  echo,
  refuse,
  crash,
  die,
  writeInto,
  endless,
  hang,
  inBatches,
  program,
  limited,
  undone,
];
