// Where a package puts things. The build rewrites the directories, and the version in its copy of deno.json,
// from environment variables: packaging/build.ts.
import manifest from "../../../deno.json" with { type: "json" };

/** Directory of configuration, above `libvirt/`. */
export const SYSCONFDIR: string = "/etc";

/** Directory of files that do not survive a boot, above `libvirt/`. */
export const RUNSTATEDIR: string = "/run";

/** Directory of variable data, above `log/libvirt/`. */
export const LOCALSTATEDIR: string = "/var";

/** Version of this program: that of deno.json, the only place where it is written. */
export const VERSION: string = manifest.version;
