import type { ChannelCredentials } from "@grpc/grpc-js";
import type { Endpoints } from "../wire/link_messages.ts";
import { EtcdChannel, plainCredentials, tlsCredentials } from "./etcd_channel.ts";
import { Members } from "./members.ts";

/** Reads a file. @throws Error when it cannot */
export type ReadFile = (path: string) => Uint8Array;

/**
 * Connects to the members of etcd; the connections come about by and by.
 *
 * @throws Error when a certificate cannot be read or a URL is none
 */
export function connect({ urls, caFile, certFile, keyFile }: Endpoints, read: ReadFile): Members {
  let tls: ChannelCredentials | undefined;
  const channels = urls.map((text) => {
    const url = new URL(text);
    const address = `${url.hostname}:${url.port === "" ? "2379" : url.port}`;
    if (url.protocol === "http:") return new EtcdChannel(address, plainCredentials());
    if (caFile === undefined || certFile === undefined || keyFile === undefined) {
      throw new Error(
        `Connect to ${text}: cluster_ca_file, cluster_cert_file and cluster_key_file are needed`,
      );
    }
    tls ??= tlsCredentials(read(caFile), read(keyFile), read(certFile));
    return new EtcdChannel(address, tls);
  });
  return new Members(channels);
}
