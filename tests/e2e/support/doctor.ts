import type { Runner } from "./command.ts";
import { OUR_DAEMON } from "./libvirt_lab.ts";

/** A finding of `virtlockd doctor --json`. */
export interface Diagnosis {
  check: string;
  level: string;
  found: string;
  advice?: string;
}

/** `virtlockd doctor` of a site, whatever its exit code is. */
export async function examine(site: Runner): Promise<Diagnosis[]> {
  const { stdout } = await site.run([OUR_DAEMON, "doctor", "--json"]);
  return JSON.parse(stdout);
}

/** What it says of one thing: level and sentence of each finding. */
export async function diagnosis(site: Runner, check: string): Promise<string[]> {
  const findings = await examine(site);
  return findings.filter((one) => one.check === check).map(({ level, found }) => `${level}: ${found}`);
}
