import type { ReadFile } from "./endpoints.ts";

/** What the unit's LoadCredential= calls the directory: systemd puts it before the name of each file. */
const CREDENTIAL = "certificates";

/** Where certificates are that only root may read. */
export interface CertificatePlaces {
  /** Directory that the service manager has loaded for this process; undefined: none. */
  readonly certificates: string | undefined;
  /** Where the copies of its files are, as $CREDENTIALS_DIRECTORY says. */
  readonly credentials: string | undefined;
}

/**
 * Reads certificates and keys by the names that the configuration has for them. Those of the directory that
 * the service manager has loaded are read as their copies: this process may not read the files themselves.
 * Source: systemd.exec(5), LoadCredential= of a directory.
 */
export function certificateReader(
  read: ReadFile,
  { certificates, credentials }: CertificatePlaces,
): ReadFile {
  return (path) => {
    const name = certificates === undefined ? undefined : nameIn(certificates, path);
    const loaded = name !== undefined && credentials !== undefined;
    try {
      return read(loaded ? `${credentials}/${CREDENTIAL}_${name}` : path);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const reason = loaded ? `${credentials} has no copy of it (${error.message})` : reasonOf(error);
      const advice = loaded || certificates === undefined
        ? ""
        : `; put it into ${certificates}, whose files are loaded for the link with etcd`;
      throw new Error(`Read ${path}: ${reason}${advice}`, { cause: error });
    }
  };
}

/** The last part of a path right below a directory; undefined when it is elsewhere. */
function nameIn(directory: string, path: string): string | undefined {
  const [, parent, name] = /^(.*?)\/+([^/]+)$/.exec(path) ?? [];
  return parent === directory && name !== ".." && name !== "." ? name : undefined;
}

/** Why a file cannot be read. What the runtime itself forbids it tells as advice to a programmer. */
function reasonOf(error: Error): string {
  return error.name === "NotCapable"
    ? "the link with etcd reads no file below /dev, /proc or /sys, so put it elsewhere"
    : error.message;
}
