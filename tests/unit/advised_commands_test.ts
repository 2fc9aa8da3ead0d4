import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const SOURCE = join(import.meta.dirname as string, "../../src");

/** A command that a message advises, up to the end of its text or of a sentence. */
const ADVISED =
  /\b(?:virtlockd (?:cluster [a-z]+|release)|virsh [a-z-]+|chmod|chown|touch|cat|mkdir) [^`;\n]*/g;

/** What is put into such a command and is one word already, by file, each with why. */
const PLAIN: Readonly<Record<string, readonly string[]>> = {
  // They are quoted where they are made, or the number of a process.
  "lockd/cli/checks/owners.ts": ["chosen", "name", "guest", "free", "pid"],
  "lockd/cli/checks/lock_states.ts": ["guestOf(lock)"],
  "lockd/cluster/reconcile/lost_guests_log.ts": ["name"],
  "lockd/cli/removal.ts": ["host"],
  // The command's own name, and a sentence behind it.
  "lockd/cli/cluster/opening.ts": ["word"],
  "lockd/cli/cluster_join.ts": ["error.message"],
  "lockd/cli/checks/configuration.ts": ["mend"],
  "lockd/cli/checks/descriptor_store.ts": ["MEND"],
  "lockd/cluster/session/entries.ts": ["why"],
  // A process's number.
  "lockd/cli/checks/daemon_runs.ts": ["pid"],
};

/** The code of a file without its comments, with each text that goes over several lines on one. */
function flowing(path: string): string {
  return readFileSync(path, "utf8")
    .replace(/\/\*\*?\s[^]*?\*\/|(?<=^|\s)\/\/ .*/gm, "")
    .replace(/["`] \+\s+["`]/g, "")
    .replace(/\$\{\s+/g, "${");
}

Deno.test("what a message puts into a command that it advises is quoted for the shell", () => {
  const files = readdirSync(SOURCE, { recursive: true, encoding: "utf8" }).filter((path) =>
    path.startsWith("lockd/") && path.endsWith(".ts")
  );
  const unquoted: string[] = [];
  let quoted = 0;
  for (const file of files) {
    for (const [command] of flowing(join(SOURCE, file)).matchAll(ADVISED)) {
      for (const [, word = ""] of command.matchAll(/\$\{([^}]*)/g)) {
        if (/^(?:host === "" \? "HOST" : )?shell(?:Quoted|Operand)\(/.test(word)) quoted++;
        else if (!PLAIN[file]?.includes(word)) unquoted.push(`${file}: ${word} in '${command}'`);
      }
    }
  }
  assert.deepEqual(unquoted, []);
  assert.ok(quoted > 10, String(quoted));
});
