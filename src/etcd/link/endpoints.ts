import type { ChannelCredentials } from "@grpc/grpc-js";
import type { Endpoints } from "../wire/link_messages.ts";
import { certificateDoubts, type TlsFile, type TlsFiles } from "./certificate_doubts.ts";
import { EtcdChannel, plainCredentials, tlsCredentials } from "./etcd_channel.ts";
import { askVersion } from "./member_version.ts";
import { memberAddress } from "./member_address.ts";
import { type Member, Members } from "./members.ts";

/** Reads a file. @throws Error when it cannot */
export type ReadFile = (path: string) => Uint8Array;

/**
 * Connects to the members of etcd; the connections come about by and by.
 *
 * @throws Error when a certificate cannot be read or a URL is none
 */
export function connect({ urls, caFile, certFile, keyFile }: Endpoints, read: ReadFile): Members {
  let certificates: TlsFiles | undefined;
  const file = (path: string): TlsFile => ({ path, bytes: read(path) });
  const members = urls.map((text) => {
    if (text.startsWith("http:")) return memberAt(text, plainCredentials());
    if (caFile === undefined || certFile === undefined || keyFile === undefined) {
      throw new Error(
        `Connect to ${text}: cluster_ca_file, cluster_cert_file and cluster_key_file are needed`,
      );
    }
    certificates ??= { ca: file(caFile), key: file(keyFile), cert: file(certFile) };
    return memberAt(text, tlsCredentials(certificates), certificates);
  });
  return new Members(members);
}

function memberAt(text: string, channelCredentials: ChannelCredentials, certificates?: TlsFiles): Member {
  const { host, port } = memberAddress(text);
  const channel = new EtcdChannel(
    `${host}:${port}`,
    channelCredentials,
    async (details) => [
      ...schemeDoubts(text, details),
      ...certificates === undefined ? [] : await certificateDoubts(certificates, Date.now()),
    ],
  );
  return {
    ask: (question, limitMs, done) =>
      channel.ask(
        question,
        limitMs,
        (answer) => done(answer.kind === "transaction" ? { ...answer, from: text } : answer),
      ),
    version: (limitMs, done) => {
      const { promise: member, resolve } = Promise.withResolvers<string | undefined>();
      channel.cluster(limitMs, resolve);
      void Promise.all([askVersion(text, certificates, limitMs), member]).then(([version, cluster]) =>
        done(cluster === undefined ? version : { ...version, cluster })
      );
    },
    close: () => channel.close(),
  };
}

/**
 * What may be wrong with the scheme of a member's URL: neither side tells the other what it has expected.
 *
 * @param details what the client says of a connection that has not come about
 */
export function schemeDoubts(url: string, details: string): readonly string[] {
  const isPlain = url.startsWith("http:");
  if (isPlain && details.includes("Failed to connect")) {
    return [`what listens there may want TLS, and ${url} has none: say https where it does`];
  }
  if (!isPlain && details.includes("disconnected before secure TLS connection")) {
    return [`what listens there may have no TLS, which ${url} wants: say http where it has none`];
  }
  return [];
}
