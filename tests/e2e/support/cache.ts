/** Directory for what takes long to make and stays good over many test runs; removing it is always safe. */
export const CACHE: string = Deno.env.get("VIRTLOCKD_LAB_CACHE") ?? "/var/cache/virtlockd-lab";
