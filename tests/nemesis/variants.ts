/** Daemons that are made wrong on purpose, to see that a run notices; each is a program below entries/. */
export const VARIANTS: Readonly<Record<string, string>> = {
  none: "right.ts",
  "no-bump": "no_bump.ts",
  "release-anything": "release_anything.ts",
  lease: "lease.ts",
  "no-settling": "no_settling.ts",
  "take-back": "take_back.ts",
};
