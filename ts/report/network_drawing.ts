/** The network as a picture: a bar a layer, as high as its image is, as wide as it has channels. */
import type { Summary, SummaryLayer } from "../addon/types.js";
import { type Html, html } from "../pages/html.js";
import { grouped } from "./format.js";

const HEIGHT = 132;
const LEAST = 16;
const GAP = 14;
const TOP = 22;

/** `3×128×128`, with channels last as people say them: `128×128×3`. */
function shapeText(shape: readonly number[]): string {
  const [channels, ...sides] = shape;
  return [...sides, channels].join("×");
}

interface Bar {
  label: string;
  shape: readonly number[];
  parameters: number;
  kind: "image" | "convolution" | "dense" | "embedding";
}

/** What is drawn: layers that have weights of their own or change the size, and both ends. */
function barsOf({ inputShape, layers, encoder }: Summary): Bar[] {
  const bars: Bar[] = [{ label: "images", shape: inputShape, parameters: 0, kind: "image" }];
  let before: SummaryLayer["outputShape"] = inputShape;
  const last = layers.findLastIndex(({ name }) => name.startsWith("encoder."));
  for (const [i, layer] of layers.entries()) {
    const { name, type, outputShape: shape, parameters } = layer;
    const changes = shape.join() !== before.join();
    before = shape;
    const isEmbedding = i === last && encoder.outputShape.join() === shape.join();
    const hasKernel = /Conv|Dense/.test(type);
    if (!hasKernel && !(changes && /Pool|Upsampl/i.test(type)) && !isEmbedding) {
      // Its numbers count with the layer before.
      const bar = bars.at(-1) as Bar;
      bar.parameters += parameters;
      continue;
    }
    const previous = bars.at(-1) as Bar;
    if (isEmbedding && !hasKernel && previous.shape.join() === shape.join()) {
      previous.kind = "embedding";
      previous.parameters += parameters;
      continue;
    }
    const label = name.replace(/^(encoder|decoder)\./, "");
    const kind = isEmbedding ? "embedding" : shape.length === 1 ? "dense" : "convolution";
    bars.push({ label, shape, parameters, kind });
  }
  return bars;
}

/** Draws it; wide networks scroll. */
export function drawNetwork(summary: Summary): Html {
  const bars = barsOf(summary);
  const side = ({ shape }: Bar) => Math.max(...(shape.length === 1 ? shape : shape.slice(1)));
  const largest = Math.log2(1 + Math.max(...bars.map(side)));
  let x = 4;
  const drawn = bars.map((bar) => {
    const height = LEAST + ((HEIGHT - LEAST) * Math.log2(1 + side(bar))) / largest;
    const channels = bar.shape.length === 1 ? 1 : (bar.shape[0] as number);
    const width = 10 + 5 * Math.log2(channels);
    const texts = [bar.label, shapeText(bar.shape), grouped(bar.parameters)];
    // A letter is about seven units wide.
    const place = Math.max(width, 7 * Math.max(...texts.map(({ length }) => length)));
    const middle = x + place / 2;
    x += place + GAP;
    const y = TOP + (HEIGHT - height) / 2;
    return html`<g class="${`bar ${bar.kind}`}">
<rect x="${(middle - width / 2).toFixed(1)}" y="${y.toFixed(1)}" width="${width.toFixed(1)}" height="${height.toFixed(1)}" rx="3"/>
${bar.kind === "embedding" && html`<text x="${middle.toFixed(1)}" y="${(y - 7).toFixed(1)}">embedding</text>`}
<text x="${middle.toFixed(1)}" y="${TOP + HEIGHT + 18}">${bar.label}</text>
<text class="dim" x="${middle.toFixed(1)}" y="${TOP + HEIGHT + 33}">${shapeText(bar.shape)}</text>
<text class="dim" x="${middle.toFixed(1)}" y="${TOP + HEIGHT + 48}">${bar.parameters > 0 ? grouped(bar.parameters) : ""}</text>
</g>`;
  });
  const width = Math.ceil(x);
  const label =
    `The network from images of ${shapeText(summary.inputShape)} to an embedding of ` +
    `${shapeText(summary.encoder.outputShape)} and back; the table below has its layers.`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Drawing of the network">
<svg class="network" viewBox="${`0 0 ${width} ${TOP + HEIGHT + 56}`}" style="${`--width: ${width}px`}" role="img" aria-label="${label}">${drawn}</svg>
</div>`;
}
