import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";

/**
 * A new directory in the one that a package goes to, for what the package is made of. It goes when it is
 * disposed of, so that nothing else in there is touched, whatever it is called.
 */
export class Staging implements Disposable {
  /** Its path. */
  readonly path: string;

  /** Makes one, and the directory `output` where it is missing. */
  constructor(output: string) {
    mkdirSync(output, { recursive: true });
    this.path = mkdtempSync(join(output, ".staging-"));
    // It becomes the root directory of packages.
    chmodSync(this.path, 0o755);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true });
  }
}
