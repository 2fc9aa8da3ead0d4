// Where a package puts things. The build rewrites these values from the environment variables
// VIRTLOCKD_SYSCONFDIR, VIRTLOCKD_RUNSTATEDIR, VIRTLOCKD_LOCALSTATEDIR and VIRTLOCKD_VERSION.

/** Directory of configuration, above `libvirt/`. */
export const SYSCONFDIR: string = "/etc";

/** Directory of files that do not survive a boot, above `libvirt/`. */
export const RUNSTATEDIR: string = "/run";

/** Directory of variable data, above `log/libvirt/`. */
export const LOCALSTATEDIR: string = "/var";

/** Version of this program. */
export const VERSION: string = "1.0.0";
