/** `ae.onnx` and `en.onnx`: graphs of ONNX, for onnxruntime and whatever else reads it. */
import { join } from "node:path";
import type { ModelLayers } from "../addon/types.js";
import { writeFileAtomic } from "../files/atomic.js";
import { VERSION } from "../version.js";
import { differs, sameBits } from "./bits.js";
import { inputContract } from "./contract.js";
import type { ExportFormat, ExportSource } from "./format.js";
import { onnxGraph } from "./onnx_graph.js";
import { decodeModel, encodeModel, type ModelProto } from "./onnx_schema.js";
import { checkShapes } from "./onnx_shapes.js";
import { readBack } from "./read_back.js";

/** What onnxruntime 1.14 and later take, and onnxruntime-web. */
const OPSET = 18;
/** The version of the file format that came with that opset. */
const IR_VERSION = 8;

const KINDS = [
  ["ae.onnx", "autoencoder"],
  ["en.onnx", "encoder"],
] as const;

type Kind = (typeof KINDS)[number][1];

function modelOf(source: ExportSource, kind: Kind): ModelProto {
  const { model, manifest, input } = source;
  const metadata = {
    kind,
    model_sha256: source.sha256,
    config: JSON.stringify(manifest),
    input: JSON.stringify(inputContract(model, manifest, input)),
  };
  return {
    irVersion: IR_VERSION,
    producerName: "flexible-autoencoder",
    producerVersion: VERSION,
    docString: `The ${kind} ${manifest.name}; metadata_props say what images are to be like.`,
    opsetImport: [{ domain: "", version: OPSET }],
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    graph: onnxGraph(model, kind, input, source.half !== undefined),
  };
}

/** The file without its constants. */
const structure = (model: ModelProto) =>
  encodeModel({ ...model, graph: { ...model.graph, initializer: [] } });

/** Holds a file against what it was to be: all of its structure and, bit by bit, its constants. */
function verify(path: string, bytes: Uint8Array, meant: ModelProto, model: ModelLayers): void {
  const read = decodeModel(bytes);
  if (!sameBits(structure(read), structure(meant))) throw differs(path, "its structure");
  // Those that are meant lie where the model's weights do.
  for (const [i, { name, dims, dataType, rawData }] of meant.graph.initializer.entries()) {
    const tensor = read.graph.initializer[i];
    const isSame =
      tensor?.name === name &&
      tensor.dims.join() === dims.join() &&
      tensor.dataType === dataType &&
      sameBits(tensor.rawData, rawData);
    if (!isSame) throw differs(path, name);
  }
  if (read.graph.initializer.length !== meant.graph.initializer.length) {
    throw differs(path, "the number of constants");
  }
  checkShapes(path, read.graph, model.layers);
}

export const onnx: ExportFormat = {
  name: "onnx",
  description: "graphs of opset 18, for onnxruntime, in browsers too",
  takesHalf: true,
  files: KINDS.map(([file]) => file),
  async write(source, folder) {
    for (const [file, kind] of KINDS) {
      const path = join(folder, file);
      const meant = modelOf(source, kind);
      const bytes = encodeModel(meant);
      await writeFileAtomic(path, bytes);
      await readBack(path, bytes);
      verify(path, bytes, meant, source.model);
    }
  },
};
