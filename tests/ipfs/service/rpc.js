// The part of Kubo's RPC API (v0) that a market node uses, over any Helia node. Answers and errors have Kubo's form.

import busboy from "busboy";
import { unixfs } from "@helia/unixfs";
import { fixedSize } from "ipfs-unixfs-importer/chunker";
import { balanced } from "ipfs-unixfs-importer/layout";
import { multiaddr } from "@multiformats/multiaddr";
import { CID } from "multiformats/cid";
import * as raw from "multiformats/codecs/raw";
import { sha256 } from "multiformats/hashes/sha2";

/** What a request asks, with an end that comes when its time is over or its client is gone. */
export class Call {
  constructor(request, response, url) {
    this.request = request;
    this.response = response;
    this.options = url.searchParams;
    const gone = new AbortController();
    response.on("close", () => gone.abort(new Error("the client is gone")));
    const given = duration(this.options.get("timeout"));
    this.signal =
      given === null
        ? gone.signal
        : AbortSignal.any([gone.signal, AbortSignal.timeout(given)]);
  }

  /** The CIDs named by `arg`, each by itself or as a path. */
  get cids() {
    return this.options
      .getAll("arg")
      .map((text) => CID.parse(text.replace("/ipfs/", "")));
  }

  is(name, otherwise = false) {
    return (
      (this.options.get(name) ?? String(otherwise)).toLowerCase() === "true"
    );
  }

  answer(value) {
    this.response.setHeader("Content-Type", "application/json");
    this.response.end(JSON.stringify(value) + "\n");
  }

  async stream(chunks) {
    this.response.setHeader("Content-Type", "application/octet-stream");
    for await (const chunk of chunks) {
      if (!this.response.write(chunk)) await drained(this.response);
    }
    this.response.end();
  }
}

const drained = (response) =>
  new Promise((resolve) => {
    response.once("drain", resolve);
    response.once("close", resolve);
  });

/** Milliseconds of a length of time as Go writes it ("20s", "1m30s", "1500ms"), or null. */
function duration(text) {
  if (!text) return null;
  const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  return [...text.matchAll(/([\d.]+)(ms|s|m|h)/g)].reduce(
    (sum, [, count, unit]) => sum + count * units[unit],
    0,
  );
}

export const commands = (helia) => {
  const fs = unixfs(helia);

  const block = async (call, cid) => {
    const parts = [];
    const options = { signal: call.signal, offline: call.is("offline") };
    for await (const part of helia.blockstore.get(cid, options))
      parts.push(part);
    return Buffer.concat(parts);
  };

  // A second pin of the same CID changes nothing, as with Kubo.
  const pin = async (cid, signal) => {
    if (await helia.pins.isPinned(cid)) return;
    for await (const _ of helia.pins.add(cid, { signal })); // fetches what is not here
  };

  const add = (call) =>
    new Promise((resolve, reject) => {
      const form = busboy({
        headers: call.request.headers,
        limits: { files: 1 },
      });
      form.on("error", reject);
      form.on("file", async (_, file, { filename }) => {
        try {
          const cid = await fs.addByteStream(file, {
            cidVersion: Number(call.options.get("cid-version") ?? 0),
            rawLeaves: call.is(
              "raw-leaves",
              call.options.get("cid-version") === "1",
            ),
            chunker: fixedSize({
              chunkSize: Number(
                (call.options.get("chunker") ?? "size-262144").split("-")[1],
              ),
            }),
            layout: balanced({
              maxChildrenPerNode: Number(
                call.options.get("max-file-links") ?? 174,
              ),
            }),
          });
          if (call.is("pin", true)) await pin(cid, call.signal);
          resolve(
            call.answer({ Name: filename, Hash: cid.toString(), Size: "0" }),
          );
        } catch (error) {
          file.resume();
          reject(error);
        }
      });
      call.request.on("error", reject);
      call.request.pipe(form);
    });

  const put = (call) =>
    new Promise((resolve, reject) => {
      const form = busboy({ headers: call.request.headers });
      form.on("file", async (_, file) => {
        try {
          const bytes = Buffer.concat(await Array.fromAsync(file));
          const cid = CID.createV1(raw.code, await sha256.digest(bytes));
          await helia.blockstore.put(cid, bytes, { signal: call.signal });
          resolve(call.answer({ Key: cid.toString(), Size: bytes.length }));
        } catch (error) {
          reject(error);
        }
      });
      call.request.pipe(form);
    });

  return {
    add,
    cat: (call) => call.stream(fs.cat(call.cids[0], { signal: call.signal })),
    "block/get": async (call) => call.stream([await block(call, call.cids[0])]),
    "block/put": put,
    "block/stat": async (call) => {
      const bytes = await block(call, call.cids[0]);
      call.answer({ Key: call.cids[0].toString(), Size: bytes.length });
    },
    "block/rm": async (call) => {
      for (const cid of call.cids) await helia.blockstore.unwrap().delete(cid);
      call.answer({ Hash: String(call.cids[0]) });
    },
    "pin/add": async (call) => {
      for (const cid of call.cids) await pin(cid, call.signal);
      call.answer({ Pins: call.cids.map(String) });
    },
    "pin/rm": async (call) => {
      for (const cid of call.cids) {
        if (!(await pinned(helia, cid)))
          throw new Error("not pinned or pinned indirectly");
        for await (const _ of helia.pins.rm(cid, { signal: call.signal }));
      }
      call.answer({ Pins: call.cids.map(String) });
    },
    "pin/ls": async (call) => {
      const [wanted] = call.cids;
      const keys = {};
      for await (const { cid } of helia.pins.ls({ signal: call.signal })) {
        if (!wanted || cid.equals(wanted))
          keys[cid.toString()] = { Type: "recursive", Name: "" };
      }
      if (wanted && !keys[wanted])
        throw new Error(`path '${wanted}' is not pinned`);
      call.answer({ Keys: keys });
    },
    id: (call) =>
      call.answer({
        ID: helia.libp2p.peerId.toString(),
        Addresses: helia.libp2p.getMultiaddrs().map(String),
        AgentVersion: `helia/${helia.info.version}`,
        ProtocolVersion: "ipfs/0.1.0",
      }),
    version: (call) =>
      call.answer({
        Version: helia.info.version,
        System: "helia",
        Golang: "",
        Commit: "",
        Repo: "",
      }),
    "swarm/connect": async (call) => {
      const address = call.options.get("arg");
      await helia.libp2p.dial(multiaddr(address), { signal: call.signal });
      call.answer({
        Strings: [`connect ${address.split("/p2p/")[1]} success`],
      });
    },
    "swarm/peers": (call) =>
      call.answer({
        Peers: helia.libp2p.getConnections().map((each) => ({
          Addr: each.remoteAddr.toString(),
          Peer: each.remotePeer.toString(),
        })),
      }),
    "repo/gc": async (call) => {
      await helia.gc({ signal: call.signal });
      call.response.end();
    },
    "repo/stat": async (call) => {
      let [objects, size] = [0, 0];
      for await (const { bytes } of helia.blockstore.unwrap().getAll()) {
        objects += 1;
        for await (const part of bytes) size += part.length;
      }
      call.answer({
        NumObjects: objects,
        RepoSize: size,
        StorageMax: 10_000_000_000,
        Version: "fs-repo@16",
      });
    },
  };
};

// Not `isPinned`, which is true of the blocks below a pin too.
async function pinned(helia, wanted) {
  for await (const { cid } of helia.pins.ls())
    if (cid.equals(wanted)) return true;
  return false;
}
