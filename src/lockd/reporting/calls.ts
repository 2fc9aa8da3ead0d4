/** What was served of one procedure. */
export interface Calls {
  readonly program: string;
  readonly procedure: string;
  succeeded: number;
  /** By libvirt error code. */
  readonly failed: Map<number, number>;
  /** Requests by time, one element more than BUCKET_BOUNDS; not cumulative. */
  readonly buckets: number[];
  /** Milliseconds. */
  total: number;
}
