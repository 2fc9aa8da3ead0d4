import { certificateReader } from "./certificates.ts";
import { readCommandLine } from "./command_line.ts";
import { connect } from "./endpoints.ts";
import { Link } from "./link.ts";

/** Runs the program: the link, or what its command line asks for instead. */
export async function main(): Promise<void> {
  const { default: process } = await import("node:process");
  const wanted = readCommandLine(process.argv.slice(2));
  switch (wanted.kind) {
    case "text":
      process.stdout.write(wanted.text);
      return;
    case "mistake":
      process.stderr.write(wanted.text);
      process.exitCode = 1;
      return;
    case "link":
      return await serve(wanted.certificates);
  }
}

/**
 * The link process: reads the daemon's lines from standard input, and answers on standard output. It ends
 * when the daemon does, or when it cannot work.
 */
async function serve(certificates: string | undefined): Promise<void> {
  const { default: process } = await import("node:process");
  const { readFileSync } = await import("node:fs");
  const read = certificateReader((path) => readFileSync(path), {
    certificates,
    credentials: process.env["CREDENTIALS_DIRECTORY"],
  });
  const link = new Link({
    connect: (endpoints) => connect(endpoints, read),
    send: (line) => process.stdout.write(line),
  });
  process.stdout.on("error", () => process.exit(0));
  process.stdin.setEncoding("utf8");
  let rest = "";
  for await (const chunk of process.stdin) {
    const lines = `${rest}${chunk}`.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (link.received(line)) continue;
      process.stdout.end(() => process.exit(1));
      return;
    }
  }
  link.close();
  process.exit(0);
}
