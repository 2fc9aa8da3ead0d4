import type { Machine } from "./nspawn.ts";
import { SETUPS } from "./releases.ts";

// dpkg-deb packs quickly when it does not compress. The packages of one source depend on each other by exact
// version.
const REPACK = `
version=$(dpkg-query --show --showformat='\${Version}' libvirt-daemon-system)
rm -rf /root/repacked
mkdir /root/repacked
for name in $NAMES; do
  dpkg-deb --raw-extract /var/cache/apt/archives/"$name"_*.deb /root/repacked/tree
  sed -i "s/$version/$version$SUFFIX/g" /root/repacked/tree/DEBIAN/control
  dpkg-deb -Znone --build /root/repacked/tree "/root/repacked/$name.deb" >/dev/null
  rm -rf /root/repacked/tree
done
`;
const APT = "apt-get install -q -y --no-install-recommends";

/** What this host's administrator does with the packages that libvirt comes in, all of them at once. */
export class LibvirtPackages {
  readonly #machine: Machine;
  /** Names of those that are installed. */
  readonly names: readonly string[];

  private constructor(machine: Machine, names: readonly string[]) {
    this.#machine = machine;
    this.names = names;
  }

  /** Those of a machine. */
  static async of(machine: Machine): Promise<LibvirtPackages> {
    const query = "dpkg-query --show --showformat='${db:Status-Status} ${Package}\\n' 'libvirt*'";
    const lines = (await machine.sh(query)).split("\n");
    const names = lines.flatMap((line) => line.startsWith("installed ") ? [line.split(" ")[1] ?? ""] : []);
    return new LibvirtPackages(machine, names);
  }

  /** The one that owns the units of the lock daemon. */
  get unitOwner(): string {
    return SETUPS[this.#machine.release].unitOwner;
  }

  /** Installs those again, as they are, that own a file of the lock daemon's in some release. */
  async reinstall(): Promise<void> {
    const names = new Set([this.unitOwner, "libvirt-daemon", "libvirt-daemon-system"]);
    await this.#machine.sh(`${APT} --reinstall ${[...names].join(" ")}`);
  }

  /** Upgrades them to a later version with the same files. */
  async upgrade(): Promise<void> {
    await this.#machine.sh(`NAMES='${this.names.join(" ")}' SUFFIX=+later\n${REPACK}`);
    await this.#machine.sh(`${APT} /root/repacked/*.deb`);
  }

  /** Goes back to the version that the release has. */
  async downgrade(): Promise<void> {
    const files = this.names.map((name) => `/var/cache/apt/archives/${name}_*.deb`);
    await this.#machine.sh(`${APT} --allow-downgrades ${files.join(" ")}`);
  }

  /** What dpkg finds changed among their files, without configuration files. */
  async changes(): Promise<string> {
    const { stdout } = await this.#machine.run(["dpkg", "--verify", ...this.names]);
    return stdout.split("\n").filter((line) => line !== "" && !/^\S+ +c /.test(line)).join("\n");
  }
}
