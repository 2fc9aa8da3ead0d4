import { runOk } from "./command.ts";
import type { Machine } from "./nspawn.ts";

/** Programs that dpkg and the maintainer scripts of packages start, and that a stand-in is made for. */
const PROGRAMS = [
  ...["cat", "cmp", "cp", "deb-systemd-invoke", "dpkg-deb", "dpkg-divert", "dpkg-query", "grep", "ln"],
  ...["mkdir", "mv", "readlink", "rm", "sleep", "systemctl"],
];

// $BEFORE is a regular expression for the call, program and arguments, before which $HOW happens, once. Only
// what dpkg has started counts: a script runs its commands as children, and dpkg runs the script.
const STAND_IN = `#!/bin/bash
name=\${0##*/}
call="$name $*"
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
parent_of() { read -r _ _ _ parent _ <"/proc/$1/stat"; }
parent_of $$
processes=
while read -r comm <"/proc/$parent/comm" && [ "$comm" != dpkg ]; do
  [ "$parent" -gt 1 ] || exec "$name" "$@"
  processes="$parent $processes"
  parent_of "$parent"
done
if [ -e /run/disturbed/done ] || ! [[ $call =~ $BEFORE ]]; then exec "$name" "$@"; fi
printf '%s\\n' "$call" >/run/disturbed/done
case $HOW in
failing) exit 1 ;;
killed) ;;
halfway) "$name" "$@" | head -c 50000000 ;;
esac
kill -KILL $parent $processes $$
`;

/**
 * What happens: dpkg and the script that it runs are killed before the call, or when half of the call's
 * output has been read; or the call fails.
 */
export type Disturbance = "killed" | "halfway" | "failing";

/** A dpkg of a machine to which something happens, as on a host that runs out of memory or disk. */
export class DisturbedDpkg {
  readonly #machine: Machine;

  private constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** That of a machine. */
  static async in(machine: Machine): Promise<DisturbedDpkg> {
    const links = PROGRAMS.map((name) => `ln -sf stand-in /run/disturbed/${name}`).join("\n");
    const script =
      `mkdir /run/disturbed\ncat >/run/disturbed/stand-in\nchmod +x /run/disturbed/stand-in\n${links}`;
    await runOk(machine, ["sh", "-ec", script], { input: STAND_IN });
    return new DisturbedDpkg(machine);
  }

  /**
   * Runs dpkg, which must fail.
   *
   * @param before regular expression of bash for the first call of a program that is concerned
   * @throws Error when there was no such call, or dpkg has succeeded
   */
  async fail(how: Disturbance, before: string, ...args: string[]): Promise<void> {
    const path = "/run/disturbed:/usr/sbin:/usr/bin:/sbin:/bin";
    await this.#machine.sh("rm -f /run/disturbed/done");
    const environment = [`PATH=${path}`, `HOW=${how}`, `BEFORE=${before}`];
    const { code, stdout, stderr } = await this.#machine.run(["env", ...environment, "dpkg", ...args]);
    const disturbed = (await this.#machine.run(["test", "-e", "/run/disturbed/done"])).code === 0;
    if (disturbed && code !== 0) return;
    throw new Error(
      `Disturb dpkg ${args.join(" ")} before ${before}: it ended with ${code}\n${stdout}${stderr}`,
    );
  }
}
