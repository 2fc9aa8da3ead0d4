/** What etcd can tell of the time before a host puts in what it has. */
export type Past =
  /** All: nothing of this host's was lost there since it has put in what it had. */
  | "known"
  /**
   * The same, and as far as anything tells this host was no member before: what it has nobody has put there
   * yet, and nobody had it by its word.
   */
  | "first"
  /**
   * This host was fenced, or etcd was recovered without it: marks of its paused guests may have been taken
   * away, and what others had meanwhile nobody knows.
   */
  | "missed"
  /** etcd has lost something. */
  | "lost";
