import assert from "node:assert/strict";
import { certificateReader } from "../../../../src/etcd/link/certificates.ts";

const CERTIFICATES = "/etc/libvirt/virtlockd-cluster";
const CREDENTIALS = "/run/credentials/virtlockd-cluster@1.service";

/** The file that is opened when one is to be read. */
function opened(path: string, certificates?: string, credentials?: string): string {
  const read = certificateReader((file) => new TextEncoder().encode(file), { certificates, credentials });
  return new TextDecoder().decode(read(path));
}

Deno.test("a certificate of the loaded directory is read as the copy that systemd has made of it", () => {
  const path = `${CERTIFICATES}/key.pem`;
  assert.equal(opened(path, CERTIFICATES, CREDENTIALS), `${CREDENTIALS}/certificates_key.pem`);
  assert.equal(
    opened(`${CERTIFICATES}//key.pem`, CERTIFICATES, CREDENTIALS),
    `${CREDENTIALS}/certificates_key.pem`,
  );
});

Deno.test("a certificate elsewhere is read where it is, and so is any where nothing was loaded", () => {
  for (const path of ["/etc/pki/ca.pem", `${CERTIFICATES}/old/key.pem`, `${CERTIFICATES}2/key.pem`]) {
    assert.equal(opened(path, CERTIFICATES, CREDENTIALS), path);
  }
  assert.equal(opened(`${CERTIFICATES}/..`, CERTIFICATES, CREDENTIALS), `${CERTIFICATES}/..`);
  assert.equal(opened(`${CERTIFICATES}/key.pem`, CERTIFICATES), `${CERTIFICATES}/key.pem`);
  assert.equal(opened(`${CERTIFICATES}/key.pem`, undefined, CREDENTIALS), `${CERTIFICATES}/key.pem`);
});

Deno.test("a certificate that cannot be read is named as the configuration has it, with what to do", () => {
  const read = certificateReader((path) => {
    throw new Error(`open ${path}`);
  }, { certificates: CERTIFICATES, credentials: CREDENTIALS });
  assert.throws(() => read("/root/key.pem"), {
    message:
      "Read /root/key.pem: open /root/key.pem; put it into /etc/libvirt/virtlockd-cluster, whose files are " +
      "loaded for the link with etcd",
  });
  assert.throws(() => read(`${CERTIFICATES}/key.pem`), {
    message: `Read ${CERTIFICATES}/key.pem: ${CREDENTIALS} has no copy of it (open ${CREDENTIALS}/` +
      "certificates_key.pem)",
  });
});

Deno.test("of a file that the runtime does not give away it is said where it must not be", () => {
  const read = certificateReader(() => {
    const forbidden = new Error('Requires all access to "/dev/fd/63", run again with the --allow-all flag');
    forbidden.name = "NotCapable";
    throw forbidden;
  }, { certificates: undefined, credentials: undefined });
  assert.throws(() => read("/dev/fd/63"), {
    message:
      "Read /dev/fd/63: the link with etcd reads no file below /dev, /proc or /sys, so put it elsewhere",
  });
});
