/** What failed in a file operation. */
export type FileFailure =
  | { kind: "system"; action: string; errno: number; local?: boolean }
  | { kind: "not-a-directory"; path: string }
  /** Network storage did not answer in time, or its helper died. */
  | { kind: "storage"; action: string; reason: string };

/** Why a directory cannot be adopted: `reason` says which part of its path is not safe. */
export type DirectoryFailure = FileFailure | { kind: "unfit"; reason: string };
