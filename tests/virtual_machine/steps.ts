// What tests inside of a machine share: programs that are run, and steps that are told.

/** How a program ended, and what it said. */
export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a program to its end, however that is. */
export async function command(program: string, ...args: string[]): Promise<Said> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr) };
}

/** Runs a program that has to succeed. @returns what it wrote */
export async function run(program: string, ...args: string[]): Promise<string> {
  const { code, out, err } = await command(program, ...args);
  if (code === 0) return out;
  throw new Error(`${program} ${args.join(" ")}: ${err}`);
}

/** One step of a test: told when it is done, and when it fails with the daemon's log. */
export async function step(log: string, what: string, look: () => Promise<void>): Promise<void> {
  const begun = performance.now();
  try {
    await look();
  } catch (error) {
    console.log(`FAILED: ${what}`);
    console.log(await run("cat", log));
    throw error;
  }
  console.log(`ok: ${what} (${((performance.now() - begun) / 1000).toFixed(1)} s)`);
}
