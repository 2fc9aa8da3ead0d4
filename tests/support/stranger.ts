import { linkCommand } from "./cluster_host.ts";
import { Daemon } from "./daemon.ts";
import type { Etcd } from "./etcd.ts";
import { Place } from "./place.ts";

/** A machine that is in no cluster. It has the link's program, and neither a virtlockd.conf nor a daemon. */
export class Stranger implements Disposable {
  readonly place: Place;
  /** The link's program. */
  readonly link: string;

  private constructor(place: Place) {
    this.place = place;
    this.link = `${place.directory}/link`;
    const words = linkCommand().map((word) => `'${word}'`).join(" ");
    Deno.writeTextFileSync(this.link, `#!/bin/sh\nexec ${words}\n`, { mode: 0o755 });
  }

  static create(): Stranger {
    return new Stranger(Place.create());
  }

  /** Runs `virtlockd cluster ...` there, about the cluster that hosts of tests are in. */
  async command(etcd: Etcd, ...args: string[]) {
    return await this.run(...args, "--endpoints", etcd.urls.join(), "--name", "test", "--link", this.link);
  }

  /** Runs `virtlockd cluster ...` there, which names no cluster but those of its options. */
  async run(...args: string[]) {
    return await Daemon.run({ args: ["cluster", ...args], place: this.place });
  }

  [Symbol.dispose](): void {
    this.place[Symbol.dispose]();
  }
}
