/** A directory for the files of one test, removed with all of them when it is disposed of. */
export class Scratch implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "virtlockd-unit-" });

  /** Path of a file in it. */
  file(name: string): string {
    return `${this.path}/${name}`;
  }

  /** Makes a file in it; its path. */
  write(name: string, text = ""): string {
    Deno.writeTextFileSync(this.file(name), text);
    return this.file(name);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** Names of the descriptors that this process has open. */
export function openHere(): string[] {
  return [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => name).sort();
}
