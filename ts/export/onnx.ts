/** `ae.onnx` and `en.onnx`: graphs of ONNX, for onnxruntime and whatever else reads it. */
import { join } from "node:path";
import type { ModelLayers } from "../addon/types.js";
import { StagedFile } from "../files/staged.js";
import { VERSION } from "../version.js";
import { inputContract } from "./contract.js";
import type { ExportFormat, ExportSource } from "./format.js";
import { onnxGraph } from "./onnx_graph.js";
import { decodeModel, encodeModel, encodePieces, type ModelProto } from "./onnx_schema.js";
import { checkShapes } from "./onnx_shapes.js";
import { checkPieces } from "./read_back.js";

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
  const { model, manifest, input: type, withResize } = source;
  const contract = inputContract(model, manifest, { type, withResize });
  const resize = withResize ? contract.interpolation : null;
  const metadata = {
    kind,
    model_sha256: source.sha256,
    config: JSON.stringify(manifest),
    input: JSON.stringify(contract),
  };
  return {
    irVersion: IR_VERSION,
    producerName: "flexible-autoencoder",
    producerVersion: VERSION,
    docString: `The ${kind} ${manifest.name}; metadata_props say what images are to be like.`,
    opsetImport: [{ domain: "", version: OPSET }],
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    graph: onnxGraph(model, kind, { type, resize, half: source.half !== undefined }),
  };
}

/** Of this many bytes and more, what a constant holds has no say in the sizes of others. */
const LARGE = 1 << 10;

/**
 * Sizes as they follow from the graph that the bytes of the file describe; but for large constants,
 * which are left out.
 */
function checkGraph(path: string, meant: ModelProto, model: ModelLayers): void {
  const initializer = meant.graph.initializer.map((tensor) => {
    return tensor.rawData.length < LARGE ? tensor : { ...tensor, rawData: new Uint8Array(0) };
  });
  const small = { ...meant, graph: { ...meant.graph, initializer } };
  checkShapes(path, decodeModel(encodeModel(small)).graph, model.layers);
}

async function writePieces(path: string, pieces: readonly Uint8Array[]): Promise<void> {
  const file = await StagedFile.create(path);
  for (const piece of pieces) await file.append(piece);
  await file.finish();
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
      const pieces = encodePieces(meant);
      await writePieces(path, pieces);
      await checkPieces(path, pieces);
      checkGraph(path, meant, source.model);
    }
  },
};
