import type { KeyObject, X509Certificate } from "node:crypto";

/** A file for TLS, as it was read. */
export interface TlsFile {
  /** Its name in the configuration. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** What a connection by TLS is made with. */
export interface TlsFiles {
  readonly ca: TlsFile;
  readonly cert: TlsFile;
  readonly key: TlsFile;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/**
 * What is wrong with the files of a connection that has failed. TLS itself tells an alert or a broken
 * connection, which names neither file nor fault. No more than advice: what is refused, the member of etcd
 * says, so nothing is refused because of this.
 *
 * @param now Unix milliseconds
 * @returns sentences without a full stop; it never fails
 */
export async function certificateDoubts(files: TlsFiles, now: number): Promise<readonly string[]> {
  try {
    // Loaded when it is needed for the first time: a link that reaches etcd never looks.
    return doubtsOf(await import("node:crypto"), files, now);
  } catch (error) {
    return [`the certificates cannot be judged: ${error instanceof Error ? error.message : String(error)}`];
  }
}

type Crypto = Pick<typeof import("node:crypto"), "createPrivateKey" | "X509Certificate">;

function doubtsOf(crypto: Crypto, { ca, cert, key }: TlsFiles, now: number): readonly string[] {
  const authorities = certificatesIn(crypto, ca);
  const [own, ...chain] = certificatesIn(crypto, cert);
  const doubts: string[] = [];
  if (authorities.length === 0) doubts.push(`${ca.path} has no certificate in PEM`);
  for (const authority of authorities) doubts.push(...outOfTime(ca.path, authority, now));
  const secret = privateKey(crypto, key);
  if (typeof secret === "string") doubts.push(secret);
  if (own === undefined) return [...doubts, `${cert.path} has no certificate in PEM`];
  doubts.push(...outOfTime(cert.path, own, now));
  if (typeof secret !== "string" && !own.checkPrivateKey(secret)) {
    doubts.push(`${key.path} is not the key of ${cert.path}`);
  }
  if (authorities.length > 0 && ![...authorities, ...chain].some(({ subject }) => subject === own.issuer)) {
    doubts.push(`${cert.path} was signed by '${oneLine(own.issuer)}', which ${ca.path} does not have`);
  }
  return doubts;
}

function certificatesIn(crypto: Crypto, { bytes }: TlsFile): X509Certificate[] {
  const found: X509Certificate[] = [];
  for (const [text] of new TextDecoder().decode(bytes).matchAll(CERTIFICATE)) {
    try {
      found.push(new crypto.X509Certificate(text));
    } catch {
      // One that cannot be read is none, which is what is told.
    }
  }
  return found;
}

/** @returns the key, or why there is none */
function privateKey(crypto: Crypto, { path, bytes }: TlsFile): KeyObject | string {
  try {
    return crypto.createPrivateKey(new TextDecoder().decode(bytes));
  } catch (error) {
    return `${path} has no private key that can be read (${
      error instanceof Error ? error.message : String(error)
    })`;
  }
}

function outOfTime(path: string, { validFrom, validTo }: X509Certificate, now: number): string[] {
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
  if (now > to) return [`${path} was valid until ${new Date(to).toISOString()}`];
  if (now < from) return [`${path} is valid from ${new Date(from).toISOString()} on`];
  return [];
}

/** A name with several parts has a line for each. */
function oneLine(name: string): string {
  return name.replaceAll("\n", ", ");
}
