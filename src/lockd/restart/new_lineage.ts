/**
 * The id of a lineage of daemons that no other one has: 15 random hexadecimal digits and one that is fixed.
 * See src/lockd/cluster/keys/lineage.ts.
 */
export function newLineage(): string {
  return crypto.randomUUID().replaceAll("-", "").slice(0, 16);
}
