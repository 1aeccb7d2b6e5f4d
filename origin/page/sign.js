// Signed links (RFC 9246), made here: the private key is read by the page and sent nowhere.

const base64 = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const text = (value) => new TextEncoder().encode(value);
const sha256 = async (value) => base64(await crypto.subtle.digest("SHA-256", text(value)));

const KINDS = [
  { name: "EdDSA", algorithm: { name: "Ed25519" }, sign: { name: "Ed25519" }, print: ({ x }) => `{"crv":"Ed25519","kty":"OKP","x":"${x}"}` },
  { name: "ES256", algorithm: { name: "ECDSA", namedCurve: "P-256" }, sign: { name: "ECDSA", hash: "SHA-256" }, print: ({ x, y }) => `{"crv":"P-256","kty":"EC","x":"${x}","y":"${y}"}` },
];

export async function signed(url, expires, pem) {
  const inner = /-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----/.exec(pem);
  if (!inner) throw new Error("no PRIVATE KEY in PEM");
  const der = Uint8Array.from(atob(inner[1].replace(/\s/g, "")), (character) => character.charCodeAt(0));
  for (const kind of KINDS) {
    const key = await crypto.subtle.importKey("pkcs8", der, kind.algorithm, true, ["sign"]).catch(() => null);
    if (key) {
      const kid = await sha256(kind.print(await crypto.subtle.exportKey("jwk", key)));
      const header = base64(text(JSON.stringify({ alg: kind.name, kid, typ: "JWT" })));
      const claims = base64(text(JSON.stringify({ cdniuc: `hash:sha-256;${await sha256(url)}`, exp: expires })));
      const signature = base64(await crypto.subtle.sign(kind.sign, key, text(`${header}.${claims}`)));
      return `${url}${url.includes("?") ? "&" : "?"}URISigningPackage=${header}.${claims}.${signature}`;
    }
  }
  throw new Error("Ed25519, P-256");
}
