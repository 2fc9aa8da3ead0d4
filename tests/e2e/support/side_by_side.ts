/** Something that is shown in a place of its own. */
export interface Scenario {
  readonly name: string;
  run(): Promise<void>;
}

/** A test whose scenarios go on at the same time, some of them at once: for those that mostly wait. */
export function testSideBySide(name: string, atOnce: number, scenarios: readonly Scenario[]): void {
  Deno.test(name, async (t) => {
    const waiting = [...scenarios];
    const side = async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const { name, run } = next;
        // What one of them opens, another one would be blamed for. The test as a whole is looked at.
        await t.step({ name, fn: run, sanitizeOps: false, sanitizeResources: false, sanitizeExit: false });
      }
    };
    await Promise.all(Array.from({ length: atOnce }, side));
  });
}
