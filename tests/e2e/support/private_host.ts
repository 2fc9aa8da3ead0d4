import { CACHE } from "./cache.ts";
import { host, type Output, type RunOptions, type Site } from "./command.ts";
import { Keeper } from "./keeper.ts";

// A mount namespace in which libvirt's directories and /run are empty file systems of its own: the paths that
// daemons and clients have compiled in are used as they are, and the host's real ones are never touched.

const DIRECTORIES = ["/run", "/etc/libvirt", "/var/lib/libvirt", "/var/log/libvirt"];

// Whatever was started in the namespace still is in it, daemonised or not: that tells its processes apart
// from the host's.
const SCRIPT = `
set -e
scratch=$1; cache=$2; kept=$3; shift 3
clean() {
  set +e
  # As a pattern, in which brackets mean something.
  own=$(readlink /proc/self/ns/mnt | tr '[]' '??')
  found=yes
  while [ $found = yes ]; do
    found=no
    for place in $(find /proc/[0-9]*/ns/mnt -maxdepth 0 -lname "$own" 2>/dev/null); do
      pid=\${place#/proc/}
      pid=\${pid%%/*}
      [ "$pid" = $$ ] && continue
      # find itself is listed too, and gone.
      kill -KILL "$pid" 2>/dev/null && found=yes
    done
    [ $found = yes ] && sleep 0.02
  done
  rm -rf "$scratch"
}
trap clean EXIT
# Storage of tests beside this one, which may hang, is none of this host's.
sed -nE 's!^([^ ]+ ){4}(/tmp/[^ ]+|/var/tmp/[^ ]+) .* - fuse.*!\\2!p' /proc/self/mountinfo | while read -r place; do
  [ "$place" = "$kept" ] || umount --lazy --no-canonicalize "$place" 2>/dev/null || :
done
mkdir -p "$cache" /var/cache/libvirt
mount --bind "$cache" /var/cache/libvirt
for directory; do mkdir -p "$directory"; mount -t tmpfs -o mode=755 lab "$directory"; done
mkdir -p /run/lock
echo $$
cat >/dev/null
`;

/**
 * A host of its own for daemons, on this kernel. Disposing of it ends every process in it and removes its
 * files.
 */
export class PrivateHost implements Site, AsyncDisposable {
  /** Scratch directory, the same path inside and outside, on a real file system. */
  readonly directory: string;
  readonly #keeper: Keeper;

  private constructor(directory: string, keeper: Keeper) {
    this.directory = directory;
    this.#keeper = keeper;
  }

  /**
   * Needs root.
   *
   * @param storage mount point of a FUSE file system of the test's, which the host has too. It has none of
   *   those that tests mount in directories for temporary files otherwise
   * @throws Error when the namespace or a file system in it cannot be made
   */
  static async create(storage = ""): Promise<PrivateHost> {
    // Always as long: what virsh draws is as wide as its paths, and is compared.
    const directory = `/var/tmp/virtlockd-lab-${crypto.getRandomValues(new Uint8Array(8)).toHex()}`;
    await Deno.mkdir(directory, { mode: 0o700 });
    return new PrivateHost(
      directory,
      await Keeper.start(SCRIPT, [directory, `${CACHE}/libvirt`, storage, ...DIRECTORIES]),
    );
  }

  run(argv: readonly string[], options?: RunOptions): Promise<Output> {
    return host.run(["nsenter", `--target=${this.#keeper.said}`, "--mount", "--", ...argv], options);
  }

  /** Name under which a path of the private host is reached from outside. */
  outside(path: string): string {
    return `/proc/${this.#keeper.said}/root${path}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#keeper[Symbol.asyncDispose]();
  }
}
