/** A version as libvirt counts it: major * 1000000 + minor * 1000 + release. A suffix is left out. */
export function versionNumber(version: string): number {
  const [major = 0, minor = 0, release = 0] = version.split(".").map((part) => parseInt(part, 10) || 0);
  return major * 1_000_000 + minor * 1000 + release;
}
