import { CACHE } from "./cache.ts";
import { host, runOk } from "./command.ts";

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/**
 * The source of libvirt as Debian has it, fetched once and kept in the cache.
 *
 * apt keeps the lists for it in a directory of their own: nothing of the host is changed.
 *
 * @returns its directory
 * @throws CommandError when apt or dpkg cannot
 */
export async function libvirtSource(): Promise<string> {
  const place = `${CACHE}/libvirt-source`;
  const found = await sourceIn(place);
  if (found !== undefined) return found;
  await Deno.mkdir(`${place}/lists/partial`, { recursive: true });
  await Deno.mkdir(`${place}/parts`, { recursive: true });
  await Deno.writeTextFile(`${place}/parts/source.list`, await sourceLines());
  const options = [
    ["Dir::Etc::sourcelist", "/dev/null"],
    ["Dir::Etc::sourceparts", `${place}/parts`],
    ["Dir::State::lists", `${place}/lists`],
    ["Dir::Cache", place],
    ["APT::Sandbox::User", "root"],
  ].flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  const deadline = 300_000;
  await runOk(host, ["apt-get", ...options, "update", "-q"], { deadline });
  const fetch = 'cd "$1"; shift; exec apt-get "$@" source -q libvirt';
  await runOk(host, ["sh", "-c", fetch, "sh", place, ...options], { deadline });
  const made = await sourceIn(place);
  if (made === undefined) throw new Error(`apt-get source left no directory in ${place}`);
  return made;
}

/** Debian's repositories of this host, as sources of sources. */
async function sourceLines(): Promise<string> {
  const format = "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)";
  const listed = await runOk(host, [
    "apt-get",
    "indextargets",
    "--format",
    format,
    "Created-By: Packages",
  ]);
  const lines = new Set(
    listed.split("\n").flatMap((line) => {
      const [origin, uri, release, component] = line.split("|");
      return origin === "Debian" ? [`deb-src [signed-by=${KEYRING}] ${uri} ${release} ${component}\n`] : [];
    }),
  );
  return [...lines].join("");
}

/** An unpacked source that has its tests. */
async function sourceIn(place: string): Promise<string | undefined> {
  try {
    for await (const { name, isDirectory } of Deno.readDir(place)) {
      const directory = `${place}/${name}`;
      if (isDirectory && name.startsWith("libvirt-") && await hasTests(directory)) return directory;
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return undefined;
}

async function hasTests(directory: string): Promise<boolean> {
  const { code } = await host.run(["test", "-f", `${directory}/tests/storagevolxml2argvtest.c`]);
  return code === 0;
}
