// The releases of Debian that the tests run on. What libvirt and systemd are in them: bookworm 9.0.0 and 252,
// trixie 11.3.0 and 257, forky 12.8.0 and 262.

/** A release of Debian by its name. */
export type Release = "bookworm" | "trixie" | "forky";

/** The releases that CI runs on. */
export const RELEASES_IN_CI: readonly Release[] = ["bookworm", "trixie"];

/** How a release is set up as a machine of the lab. */
export interface ReleaseSetup {
  /** libvirt's packages: its daemons with the lock daemon and its plugin, and its clients. */
  readonly libvirt: readonly string[];
  /** Which of them owns the units of the lock daemon. */
  readonly unitOwner: string;
  /** Control groups: as systemd-nspawn finds them here, or the only kind that newer systemd works with. */
  readonly hierarchy: "detected" | "unified";
}

/** From 10.6.0 on Debian has the lock daemon and libvirt's plugin for it in packages of their own. */
const SPLIT = [
  "libvirt-daemon-system",
  "libvirt-daemon-lock",
  "libvirt-daemon-plugin-lockd",
  "libvirt-daemon-driver-qemu",
  "libvirt-clients",
];

/** The setup of every release. */
export const SETUPS: Readonly<Record<Release, ReleaseSetup>> = {
  bookworm: {
    libvirt: ["libvirt-daemon", "libvirt-daemon-system", "libvirt-daemon-driver-qemu", "libvirt-clients"],
    unitOwner: "libvirt-daemon-system",
    hierarchy: "detected",
  },
  trixie: { libvirt: SPLIT, unitOwner: "libvirt-daemon-lock", hierarchy: "unified" },
  forky: { libvirt: SPLIT, unitOwner: "libvirt-daemon-lock", hierarchy: "unified" },
};

/**
 * The releases that a test is to run on: those of CI, or the ones that VIRTLOCKD_TEST_RELEASES names, such as
 * "forky" or "bookworm,trixie,forky".
 *
 * @param inCi which of those of CI it runs on there: CI has half an hour, so what hardly differs between them
 * is tried on one
 * @throws Error when the variable names none, or one that is not known
 */
export function releasesToTest(inCi: "all" | "oldest" | "newest" = "all"): readonly Release[] {
  const named = Deno.env.get("VIRTLOCKD_TEST_RELEASES");
  if (named === undefined) {
    switch (inCi) {
      case "all":
        return RELEASES_IN_CI;
      case "oldest":
        return RELEASES_IN_CI.slice(0, 1);
      case "newest":
        return RELEASES_IN_CI.slice(-1);
    }
  }
  const known = Object.keys(SETUPS) as Release[];
  return named.split(",").map((name) => {
    const release = known.find((candidate) => candidate === name.trim());
    if (release !== undefined) return release;
    throw new Error(`Read VIRTLOCKD_TEST_RELEASES: "${name}" is none of ${known.join(", ")}`);
  });
}
