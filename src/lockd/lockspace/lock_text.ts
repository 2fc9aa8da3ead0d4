import { type Holding, ownerText } from "./owner.ts";

/** A lock in words, as a message begins: what is locked, and for whom, each owner once. */
export function lockText(
  { name, holdings }: { readonly name: string; readonly holdings: readonly Pick<Holding, "owner">[] },
): string {
  const owners = new Set(holdings.map(({ owner }) => ownerText(owner)));
  return `The lock on '${name}' of ${[...owners].join(", ")}`;
}
