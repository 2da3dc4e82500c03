// A trustless gateway (https://specs.ipfs.tech/http-gateways/trustless-gateway/): blocks, and trees of blocks as CAR.

import { CarWriter } from "@ipld/car";
import * as dagPb from "@ipld/dag-pb";
import { CID } from "multiformats/cid";

export async function serve(helia, call, path) {
  const cid = CID.parse(path.split("/")[2]);
  const format = call.options.get("format");
  const read = async (each) =>
    Buffer.concat(
      await Array.fromAsync(
        helia.blockstore.get(each, { signal: call.signal }),
      ),
    );
  if (format === "raw") {
    const block = await read(cid);
    call.response.setHeader("Content-Type", "application/vnd.ipld.raw");
    call.response.end(block);
  } else if (format === "car") {
    const root = await read(cid); // before the head is sent: what is not here is an error, not an empty CAR
    call.response.setHeader(
      "Content-Type",
      "application/vnd.ipld.car; version=1; order=dfs; dups=y",
    );
    const { writer, out } = CarWriter.create([cid]);
    const written = write(writer, read, cid, root).then(() => writer.close());
    for await (const part of out) call.response.write(part);
    await written;
    call.response.end();
  } else {
    call.response.statusCode = 406;
    call.response.end("only format=raw and format=car\n");
  }
}

/** Every block of a tree, depth first, as often as it occurs. */
async function write(writer, read, cid, bytes) {
  await writer.put({ cid, bytes });
  if (cid.code !== dagPb.code) return;
  for (const { Hash } of dagPb.decode(bytes).Links)
    await write(writer, read, Hash, await read(Hash));
}
