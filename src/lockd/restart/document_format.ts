// What this daemon adds to libvirt's restart document. libvirt's reader skips fields that it does not know,
// at every level.

/** The field, in whichever object, that holds what is ours. */
export const OWN_KEY = "denoVirtlockd";

/** Version of our fields. A higher one is refused, so that an older image says no before it is exec'd. */
export const FORMAT_VERSION = 1;

/** Longest document, in bytes, that libvirt's daemon reads (measured on 9.0.0). */
export const LIBVIRT_MAX_BYTES = 10 * 1024 * 1024;

/** Flag of a resource: the lock is shared. */
export const FLAG_SHARED = 1;
/** Flag of a resource: the file is made when absent and unlinked with the last owner. */
export const FLAG_AUTOCREATE = 2;

/** Our own field, behind the last one of libvirt's. */
export function ownField(text: string): string {
  return `,"${OWN_KEY}":${text}`;
}
