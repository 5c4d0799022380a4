/** `.keras` files: models of Keras 3, a zip file of JSON and HDF5. */
import type { FileHandle } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { FlexaeError } from "../addon/errors.js";
import { differs } from "./bits.js";
import { addWeight, checkWeight, groupOf, type Place, readHdf5, writeHdf5 } from "./hdf5.js";
import { kerasGroups } from "./keras_groups.js";
import type { KerasLayer } from "./keras_layers.js";
import { writeNewFile } from "./new_file.js";
import { holds } from "./read_back.js";
import { directory, LARGEST_ZIP, localHeader, type StoredEntry } from "./stored_zip.js";

/** The first one that reads such files. */
const KERAS_VERSION = "3.0.0";

const WEIGHTS = "model.weights.h5";

/** Bytes that are read back at once. */
const CHUNK = 1 << 20;

type NamedLayer = KerasLayer & { group: string };

/** Each layer with the name of its group. */
function named(layers: readonly KerasLayer[]): NamedLayer[] {
  const groups = kerasGroups(layers.map(({ config }) => config.class_name));
  return layers.map((layer, i) => ({ ...layer, group: groups[i] as string }));
}

/** The text of `config.json` in the file: images are N×H×W×C. */
function configText(name: string, shape: readonly number[], layers: readonly KerasLayer[]): string {
  const [channels, height, width] = shape;
  const input = {
    module: "keras.layers",
    class_name: "InputLayer",
    config: { batch_shape: [null, height, width, channels], dtype: "float32", name: "images" },
    registered_name: null,
  };
  return JSON.stringify({
    module: "keras",
    class_name: "Sequential",
    config: { name, layers: [input, ...layers.map(({ config }) => config)] },
    registered_name: null,
  });
}

/** Writes weights as Keras 3 looks for them; gives the length. */
function writeWeights(place: Place, name: string, layers: readonly NamedLayer[]): Promise<number> {
  return writeHdf5(place, (open) => {
    groupOf(open.file, "vars").create_attribute("name", name);
    const all = groupOf(open.file, "layers");
    for (const { config, group, weights } of layers) {
      const vars = groupOf(groupOf(all, group), "vars");
      vars.create_attribute("name", config.config.name as string);
      for (const [i, weight] of weights.entries()) addWeight(open, vars, `${i}`, weight);
    }
  });
}

function verifyWeights(place: Place, length: number, layers: readonly NamedLayer[]): Promise<void> {
  return readHdf5(place, length, (open) => {
    for (const { group, weights } of layers) {
      for (const [i, weight] of weights.entries()) {
        checkWeight(open, `layers/${group}/vars/${i}`, weight);
      }
    }
  });
}

/** CRC-32 of a part of a file. */
async function partCrc32(handle: FileHandle, offset: number, length: number): Promise<number> {
  const chunk = Buffer.alloc(CHUNK);
  let crc = 0;
  for (let at = 0; at < length; ) {
    const wanted = Math.min(CHUNK, length - at);
    const { bytesRead } = await handle.read(chunk, 0, wanted, offset + at);
    if (bytesRead === 0) break;
    crc = crc32(chunk.subarray(0, bytesRead), crc);
    at += bytesRead;
  }
  return crc;
}

/**
 * Writes and verifies a model of these layers. As Keras does: nothing is compressed.
 *
 * @param shape - Of an image: C, H, W.
 */
export async function writeKerasArchive(
  path: string,
  name: string,
  shape: readonly number[],
  kerasLayers: readonly KerasLayer[],
): Promise<void> {
  const layers = named(kerasLayers);
  const texts = [
    ["metadata.json", JSON.stringify({ keras_version: KERAS_VERSION })],
    ["config.json", configText(name, shape, layers)],
  ] as const;
  await writeNewFile(path, async (handle) => {
    const entries: StoredEntry[] = [];
    let offset = 0;
    const write = async (bytes: Buffer, at: number) => {
      await handle.write(bytes, 0, bytes.length, at);
      if (!(await holds(handle, at, bytes))) throw differs(path, "its structure");
    };
    for (const [entryName, text] of texts) {
      const bytes = Buffer.from(text);
      const entry = { name: entryName, bytes: bytes.length, crc32: crc32(bytes), offset };
      const whole = Buffer.concat([localHeader(entry), bytes]);
      await write(whole, offset);
      entries.push(entry);
      offset += whole.length;
    }
    // How long the weights are and what their checksum is, is known once they are there.
    const entry: StoredEntry = { name: WEIGHTS, bytes: 0, crc32: 0, offset };
    const place = { path, handle, offset: offset + localHeader(entry).length };
    entry.bytes = await writeWeights(place, name, layers);
    if (place.offset + entry.bytes > LARGEST_ZIP) {
      throw new FlexaeError("FLEXAE_MODEL", `${path} would be larger than 4 GiB: use .h5 files`);
    }
    entry.crc32 = await partCrc32(handle, place.offset, entry.bytes);
    await write(localHeader(entry), offset);
    entries.push(entry);
    offset = place.offset + entry.bytes;
    await write(directory(entries, offset), offset);
    await verifyWeights(place, entry.bytes, layers);
  });
}
