// Why a host is no member of its cluster any more, and locks nothing until a person has done something. What
// that is commands tell by the reason.

/** It was made to leave. */
export const LEFT =
  "it has left the cluster. Take the cluster_ keys out of virtlockd.conf, then virtlockd reload; with the keys " +
  "'virtlockd cluster join' brings it back";

/** Somebody has recovered etcd without it. */
export const SAID_TO_BE_OFF =
  "etcd was recovered without this host, which was said to be off: other hosts may use its disks. " +
  "Shut down its guests that have locks of the cluster, and start it anew";

/** Its session was written by somebody who has not fenced it. */
export const COPIED = "somebody else writes this host's session: a copy of this host is running";
