import type { MemberVersion } from "../wire/link_messages.ts";
import type { TlsFiles } from "./certificate_doubts.ts";
import { memberAddress } from "./member_address.ts";

/** What a member says of its version is short. */
const LONGEST = 4096;

/**
 * Asks a member of etcd which version it is. It says so over plain HTTP: by gRPC only an administrator may
 * ask. Source: etcd's documentation, `GET /version`.
 *
 * @param url `https://NAME:PORT` or `http://NAME:PORT`
 * @returns the version, or why it is not known: it never fails
 */
export async function askVersion(
  url: string,
  certificates: TlsFiles | undefined,
  limitMs: number,
): Promise<MemberVersion> {
  try {
    return { url, version: versionIn(await fetched(url, certificates, limitMs)) };
  } catch (error) {
    return { url, reason: error instanceof Error ? error.message : String(error) };
  }
}

/** The body of the answer. @throws Error when there is none */
async function fetched(
  text: string,
  certificates: TlsFiles | undefined,
  limitMs: number,
): Promise<string> {
  const url = new URL("/version", text);
  url.port = memberAddress(text).port;
  // Loaded when it is asked for the first time, and that is not what a guest waits for.
  const { request } = certificates === undefined ? await import("node:http") : await import("node:https");
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const options = { ...certificates === undefined ? {} : texts(certificates), agent: false };
  const sent = request(url, options, (answer) => {
    let body = "";
    answer.setEncoding("utf8");
    answer.on("data", (chunk: string) => {
      body += chunk;
      if (body.length > LONGEST) sent.destroy(new Error("its answer is too long for a version"));
    });
    answer.on("end", () => resolve(body));
    answer.on("error", reject);
  });
  const timer = setTimeout(() => sent.destroy(new Error(`no answer within ${limitMs} ms`)), limitMs);
  sent.on("error", reject);
  sent.end();
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

function texts({ ca, key, cert }: TlsFiles) {
  const [caText, keyText, certText] = [ca, key, cert].map(({ bytes }) => new TextDecoder().decode(bytes));
  return { ca: caText, key: keyText, cert: certText };
}

/** @throws Error when the answer does not say it */
function versionIn(body: string): string {
  const answer: unknown = JSON.parse(body);
  if (
    typeof answer === "object" && answer !== null && "etcdserver" in answer &&
    typeof answer.etcdserver === "string"
  ) return answer.etcdserver;
  throw new Error("its answer tells no version");
}
