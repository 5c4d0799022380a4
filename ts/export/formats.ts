/** The formats, in the order in which they are shown. A new one is a file and a line here. */
import type { ExportFormat } from "./format.js";
import { keras } from "./keras.js";
import { onnx } from "./onnx.js";
import { pytorch } from "./pytorch.js";
import { safetensors } from "./safetensors.js";
import { torchscript } from "./torchscript.js";

export const FORMATS: readonly ExportFormat[] = [onnx, pytorch, safetensors, keras, torchscript];
