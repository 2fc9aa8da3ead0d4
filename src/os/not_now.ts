import { EAGAIN, EINTR, ENOBUFS, ENOMEM } from "./errno.ts";

/**
 * What the kernel answers (-errno) when it cannot send or receive now, but the connection is none the worse:
 * the socket stays ready, so the event comes again. Ending it would end what relies on it.
 */
export const NOT_NOW: readonly number[] = [-EAGAIN, -EINTR, -ENOMEM, -ENOBUFS];
