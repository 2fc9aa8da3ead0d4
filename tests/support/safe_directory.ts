/** Whether nobody else may write a directory, nor any on the way to it. */
export function isSafe(directory: string): boolean {
  const { mode } = Deno.lstatSync(directory);
  const parent = directory.slice(0, directory.lastIndexOf("/"));
  return ((mode ?? 0) & 0o022) === 0 && (directory === "/" || isSafe(parent === "" ? "/" : parent));
}

/** A safe directory, for what must not lie among temporary files; undefined without one. */
export function safeParent(): string | undefined {
  const home = Deno.env.get("HOME");
  return home !== undefined && isSafe(home) ? home : undefined;
}
