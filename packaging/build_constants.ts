/** The packager's constants, by the name that the program's sources have for them. */
export type BuildConstants = ReadonlyMap<string, string>;

/**
 * Constants of src/chassis/config/build_config.ts that a packager may set, each by the variable
 * VIRTLOCKD_NAME.
 */
const NAMES = ["SYSCONFDIR", "RUNSTATEDIR", "LOCALSTATEDIR"];

/** What a packager has set in the environment. */
export function buildConstants(env: Readonly<Record<string, string | undefined>>): BuildConstants {
  const constants = new Map<string, string>();
  for (const name of NAMES) {
    const value = env[`VIRTLOCKD_${name}`];
    if (value !== undefined) constants.set(name, value);
  }
  return constants;
}

/**
 * The source of build_config.ts with other values.
 *
 * @throws Error when a constant is not in it as it has to be: the program would be built for other
 * directories than asked for
 */
export function withConstants(source: string, constants: BuildConstants): string {
  let result = source;
  for (const [name, value] of constants) {
    const declaration = new RegExp(`(export const ${name}: string = )"[^"]*"`, "g");
    const found = [...result.matchAll(declaration)].length;
    if (found !== 1) {
      throw new Error(`Set ${name} in build_config.ts: it is declared ${found} times, want once`);
    }
    result = result.replace(declaration, (_, start: string) => `${start}${JSON.stringify(value)}`);
  }
  return result;
}
