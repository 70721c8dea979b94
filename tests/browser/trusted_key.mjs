// How the browser comes to trust the deployment's certificate without a change to the machine's own
// list of authorities.
import { createHash } from "node:crypto";
import { connect } from "node:tls";

// The hash of the deployment's public key, as Chromium wants it. Fails unless the certificate was
// signed by the deployment's authority for the name sessions.test.
export async function trustedKey(deployment) {
  const socket = connect({
    host: "127.0.0.1",
    port: Number(deployment.noted("port")),
    servername: "sessions.test",
    ca: deployment.file("ca.pem"),
  });
  try {
    await new Promise((resolve, reject) => {
      socket.once("secureConnect", resolve).once("error", reject);
    });
    const key = socket.getPeerX509Certificate().publicKey;
    return createHash("sha256").update(key.export({ type: "spki", format: "der" })).digest("base64");
  } finally {
    socket.destroy();
  }
}
