import assert from "node:assert/strict";
import { certificateDoubts } from "../../../../src/etcd/link/certificate_doubts.ts";

// Made by `openssl req -x509` and `openssl x509 -req`, with keys of the curve P-256.

const AUTHORITY = `
-----BEGIN CERTIFICATE-----
MIIBfjCCASOgAwIBAgIURI0XoE4Jg5Al5GdX1qhKmK8T/GowCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJYXV0aG9yaXR5MB4XDTI2MTEyOTA4MTExOVoXDTM2MTEyNjA4
MTExOVowFDESMBAGA1UEAwwJYXV0aG9yaXR5MFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAE7f/apZqXqVgCm1j1u4D3RwVFt7i0G7m6zzIEHSiDC1GKgsH10feFSwFH
MZNmBIcu4eHxV0j/HCHAtXRw+o4LfKNTMFEwHQYDVR0OBBYEFHyt5kH/KoR96ll4
lRHflNWQeo0UMB8GA1UdIwQYMBaAFHyt5kH/KoR96ll4lRHflNWQeo0UMA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAOeo6xe2tIwrs87uCVRiHGEu
jLO1lz9xLNYyL4mmk5cpAiEAt9BORCkGxCSrVuXVefLkCKOGEOd01TWuuq0symYw
amg=
-----END CERTIFICATE-----
`;
const HOST = `
-----BEGIN CERTIFICATE-----
MIIBHjCBxAIUJLM5n2B3sXE/tPjxkWbGsbjtl+0wCgYIKoZIzj0EAwIwFDESMBAG
A1UEAwwJYXV0aG9yaXR5MB4XDTI2MTEyOTA4MTExOVoXDTI3MTEyOTA4MTExOVow
DzENMAsGA1UEAwwEa3ZtNzBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABJukwTDD
d8lWlT1ooViymigXQC0eDn1DrV28p/rzudvYd13TYOQ1DHLzWhuwIv8FtYxI7ZVl
63HFK9xPyBmztgswCgYIKoZIzj0EAwIDSQAwRgIhAOx4nHT4bph7ld2KjJZhIHsJ
RzW1wbcFZeLlQ2Uzuw82AiEAvi0Q1IBKjanE7n3OLnozfTLwIdZgizqgp5k0wLBV
wyw=
-----END CERTIFICATE-----
`;
const HOST_KEY = `
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgpOk7UK3rTu5Pz6fN
LpKei8LUFU5RuTqp54RsfXoEmeehRANCAASbpMEww3fJVpU9aKFYspooF0AtHg59
Q61dvKf687nb2Hdd02DkNQxy81obsCL/BbWMSO2VZetxxSvcT8gZs7YL
-----END PRIVATE KEY-----
`;
const OTHER_KEY = `
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg+eOSJtXLlD2va5UL
1/x46b9pqj7oRZPojKuS+4uuAwihRANCAARmczEdNcqKq8rTMlBllUDokm90CFg9
ea3cPgzDehibaQ0rc5foHIrfX6fa4RY+3q64ercvZyHbts8zVNWrPy81
-----END PRIVATE KEY-----
`;
const FOREIGN = `
-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIUN/Aih5vJBM2Lx4cHoV55Cq58MIMwCgYIKoZIzj0EAwIw
IzESMBAGA1UECgwJZWxzZXdoZXJlMQ0wCwYDVQQDDARrdm03MB4XDTI2MTEyOTA4
MTEyMFoXDTM2MTEyNjA4MTEyMFowIzESMBAGA1UECgwJZWxzZXdoZXJlMQ0wCwYD
VQQDDARrdm03MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZnMxHTXKiqvK0zJQ
ZZVA6JJvdAhYPXmt3D4Mw3oYm2kNK3OX6ByK31+n2uEWPt6uuHq3L2ch27bPM1TV
qz8vNaNTMFEwHQYDVR0OBBYEFDgI7KUBAXk2DyqskvW/gqeUHVuhMB8GA1UdIwQY
MBaAFDgI7KUBAXk2DyqskvW/gqeUHVuhMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZI
zj0EAwIDSAAwRQIgXTo9hqiYmNAguqUIyHxRE3hM9P0RH/VeAAG0kfHg5KMCIQCn
/IQ1ZuQJQoq/4buJ+Gw17d7YavMQxjgC9oX1xBkEyQ==
-----END CERTIFICATE-----
`;

/** While all of them are valid. */
const DAY = Date.parse("2027-01-01T00:00:00Z");

function doubts(ca: string, cert: string, key: string, now = DAY): Promise<readonly string[]> {
  const file = (path: string, text: string) => ({ path, bytes: new TextEncoder().encode(text) });
  return certificateDoubts(
    { ca: file("/c/ca.pem", ca), cert: file("/c/kvm7.pem", cert), key: file("/c/kvm7-key.pem", key) },
    now,
  );
}

Deno.test("of certificates that are in order nothing is said, also of one of two authorities", async () => {
  assert.deepEqual(await doubts(AUTHORITY, HOST, HOST_KEY), []);
  assert.deepEqual(await doubts(FOREIGN + AUTHORITY, HOST, HOST_KEY), []);
  assert.deepEqual(await doubts(FOREIGN, HOST + AUTHORITY, HOST_KEY), []);
});

Deno.test("a certificate whose time is over, or has not come, is named with that time", async () => {
  assert.deepEqual(await doubts(AUTHORITY, HOST, HOST_KEY, Date.parse("2028-01-01T00:00:00Z")), [
    "/c/kvm7.pem was valid until 2027-11-29T08:11:19.000Z",
  ]);
  assert.deepEqual(await doubts(AUTHORITY, HOST, HOST_KEY, Date.parse("2020-01-01T00:00:00Z")), [
    "/c/ca.pem is valid from 2026-11-29T08:11:19.000Z on",
    "/c/kvm7.pem is valid from 2026-11-29T08:11:19.000Z on",
  ]);
});

Deno.test("files that do not belong together are named", async () => {
  assert.deepEqual(await doubts(AUTHORITY, HOST, OTHER_KEY), [
    "/c/kvm7-key.pem is not the key of /c/kvm7.pem",
  ]);
  const [signed = "", ...more] = await doubts(AUTHORITY, FOREIGN, OTHER_KEY);
  assert.deepEqual(more, []);
  assert.match(
    signed,
    /^\/c\/kvm7\.pem was signed by 'O=elsewhere, CN=kvm7', which \/c\/ca\.pem does not have$/,
  );
});

Deno.test("files that are not what they should be are named", async () => {
  assert.deepEqual(await doubts("127.0.0.1 localhost", HOST, HOST_KEY), [
    "/c/ca.pem has no certificate in PEM",
  ]);
  assert.deepEqual(await doubts(AUTHORITY, "", HOST_KEY), ["/c/kvm7.pem has no certificate in PEM"]);
  const broken = HOST.replace(/M/g, "A");
  assert.deepEqual(await doubts(AUTHORITY, broken, HOST_KEY), ["/c/kvm7.pem has no certificate in PEM"]);
  for (const none of ["", AUTHORITY, HOST_KEY.replace(/[a-z]/g, "A")]) {
    const [found = "", ...more] = await doubts(AUTHORITY, HOST, none);
    assert.deepEqual(more, []);
    assert.match(found, /^\/c\/kvm7-key\.pem has no private key that can be read \(.+\)$/);
  }
});
