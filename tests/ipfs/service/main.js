// An IPFS peer for tests: Helia on loopback alone, behind the paths of Kubo's RPC API and of a trustless gateway.
//
//     node main.js FOLDER [BYTES]
//
// FOLDER keeps its blocks, at most BYTES of them. It writes one line of JSON when it answers, and ends with its
// standard input, so that it never outlives the test that started it.

import { createServer } from "node:http";
import { withBitswap } from "@helia/bitswap";
import { withLibp2pLight } from "@helia/libp2p";
import { createHeliaLight } from "helia";
import { identify } from "@libp2p/identify";
import { noise } from "@libp2p/noise";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { FsBlockstore } from "blockstore-fs";
import { serve } from "./gateway.js";
import { Call, commands } from "./rpc.js";

const [folder, most = "Infinity"] = process.argv.slice(2);

/** A disk that is full after so many bytes. */
class Disk extends FsBlockstore {
  left = Number(most);

  async put(cid, block, options) {
    this.left -= block.length;
    if (this.left < 0) throw new Error(`write ${cid}: no space left on device`);
    return super.put(cid, block, options);
  }
}

// No routers, no discovery: it knows the peers that it is told to connect to, and speaks to nobody else.
const network = {
  addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: { identify: identify() },
};
const helia = withBitswap(
  withLibp2pLight(createHeliaLight({ blockstore: new Disk(folder) }), network),
);
await helia.start();

const table = commands(helia);
const server = createServer(async (request, response) => {
  const url = new URL(request.url, "http://localhost");
  const call = new Call(request, response, url);
  try {
    if (url.pathname.startsWith("/ipfs/"))
      return await serve(helia, call, url.pathname);
    const command = table[url.pathname.replace("/api/v0/", "")];
    if (request.method !== "POST" || !command) {
      response.statusCode = command ? 405 : 404;
      return response.end(`${command ? 405 : 404} - nothing here\n`);
    }
    await command(call);
  } catch (error) {
    fail(call, error);
  }
});

function fail(call, error) {
  const { response } = call;
  if (response.destroyed) return;
  if (response.headersSent) return response.destroy(); // cut short, so that nobody takes it for whole
  const late = call.signal.aborted;
  response.statusCode = 500;
  response.setHeader("Connection", "close"); // what is left of an upload is not read
  call.answer({
    Message: late ? "context deadline exceeded" : error.message,
    Code: 0,
    Type: "error",
  });
}

process.on("unhandledRejection", (reason) =>
  console.error("unhandled:", reason),
);
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
server.listen(0, "127.0.0.1", () => {
  const [swarm] = helia.libp2p.getMultiaddrs().map(String);
  console.log(
    JSON.stringify({ rpc: `http://127.0.0.1:${server.address().port}`, swarm }),
  );
});
