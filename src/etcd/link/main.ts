import { connect } from "./endpoints.ts";
import { Link } from "./link.ts";

/**
 * The link process: reads the daemon's lines from standard input, and answers on standard output. It ends
 * when the daemon does, or when it cannot work.
 */
export async function main(): Promise<void> {
  const { default: process } = await import("node:process");
  const { readFileSync } = await import("node:fs");
  const link = new Link({
    connect: (endpoints) => connect(endpoints, (path) => readFileSync(path)),
    send: (line) => process.stdout.write(line),
  });
  process.stdout.on("error", () => process.exit(0));
  process.stdin.setEncoding("utf8");
  let rest = "";
  for await (const chunk of process.stdin) {
    const lines = `${rest}${chunk}`.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (!link.received(line)) process.exitCode = 1;
      if (process.exitCode === 1) return process.stdout.end(() => process.exit(1));
    }
  }
  link.close();
  process.exit(0);
}
