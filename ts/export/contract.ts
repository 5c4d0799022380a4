/** What a model takes: how an image becomes its input. */
import type { ModelLayers } from "../addon/types.js";
import type { ModelManifest } from "../runs/setting.js";

/** Of what a graph's input is. */
export type InputType = "float32" | "uint8";

/** How an image becomes an input of the model. */
export interface InputContract {
  /** The input's name. */
  name: "images";
  /** The order of its axes: images, then channels, rows and columns, or channels last. */
  layout: "NCHW" | "NHWC";
  /** Without the images: of NCHW [C, H, W], of NHWC ["H", "W", C], where H and W are free. */
  shape: (number | string)[];
  /** Of what it is. */
  type: InputType;
  /** The least and the greatest value: of floats 0 and 1, which are bytes divided by 255. */
  range: [number, number];
  /** What the channels are. */
  channels: "gray" | "RGB";
  /** How images were resized in training: `area`, `bilinear` or `nearest`. */
  interpolation: string;
  /** [H, W] that the graph resizes to by itself; it is not there if the graph does not. */
  resizedTo?: [number, number];
  /** What is done to an image, step by step. */
  steps: string[];
}

const RESIZING: Record<string, string> = {
  area:
    "Resize with OpenCV's INTER_AREA: along each axis that shrinks, the mean of the source area " +
    "under each pixel. Then, along an axis that grows, INTER_LINEAR (pixel centres aligned). " +
    "Do not keep the aspect ratio.",
  bilinear:
    "Resize with OpenCV's INTER_LINEAR: between the nearest two pixels along each axis, pixel " +
    "centres aligned, no smoothing first. Do not keep the aspect ratio.",
  nearest:
    "Resize to the nearest pixel, pixel centres aligned, as Pillow's NEAREST does (OpenCV's " +
    "INTER_NEAREST differs). Do not keep the aspect ratio.",
};

const LARGE_JPEG =
  "Training may decode a JPEG much larger than that at 1/2, 1/4 or 1/8 of its size first.";

/** What may be otherwise in graphs. */
export interface GivenInput {
  /** `float32` unless given. */
  type?: InputType;
  /** Whether the graph resizes. */
  withResize?: boolean;
}

/** What the model takes, with the resizing of its training. */
export function inputContract(
  model: ModelLayers,
  manifest: ModelManifest,
  { type = "float32", withResize = false }: GivenInput = {},
): InputContract {
  const [channels, height, width] = model.inputShape as [number, number, number];
  const interpolation = String(manifest.settings.interpolation ?? "area");
  const resizing =
    `${RESIZING[interpolation] ?? `Resize by ${interpolation}.`} ` +
    `To ${height} rows and ${width} columns, rounded to bytes.` +
    (interpolation === "area" ? ` ${LARGE_JPEG}` : "");
  return {
    name: "images",
    layout: withResize ? "NHWC" : "NCHW",
    shape: withResize ? ["H", "W", channels] : model.inputShape,
    type,
    range: type === "uint8" ? [0, 255] : [0, 1],
    channels: channels === 1 ? "gray" : "RGB",
    interpolation,
    ...(withResize && { resizedTo: [height, width] as [number, number] }),
    steps: [
      "Decode to 8 bits a channel; of 16 bits take the high byte. Drop alpha, do not blend it.",
      "Turn the image as its EXIF orientation says.",
      channels === 1
        ? 'Turn colours to gray levels by ITU-R 601, as Pillow\'s convert("L"): ' +
          "(19595·R + 38470·G + 7471·B + 32768) >> 16. Of a YCbCr JPEG take Y."
        : "Take the channels in the order red, green, blue; repeat a gray level for all three.",
      withResize
        ? "Leave the size as it is; images that go in together have the same. The graph does " +
          `this: ${resizing}`
        : resizing,
      type === "uint8"
        ? "Leave the bytes as they are: the graph divides by 255."
        : "Divide by 255: floats from 0 to 1, with no mean taken off and no other scaling.",
    ],
  };
}
