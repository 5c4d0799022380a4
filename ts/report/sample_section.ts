/** What the page shows of a sample: pairs with error maps, the embedding, its map. */

import type { Pixels } from "../imaging/decode.js";
import { commonScale, errorMap, paintHeat } from "../imaging/heat_map.js";
import type { Shape } from "../imaging/mat.js";
import { pngDataUri } from "../imaging/page_picture.js";
import { type Html, html } from "../pages/html.js";
import { figure, grouped } from "./format.js";
import type { Sample, SampleMap } from "./sample.js";
import type { Dimension } from "./statistics.js";

/** Sides of pictures, the largest first; the first that fits the budget is taken. */
const SIDES = [224, 160, 112, 80, 56, 40];

const KINDS = {
  best: "Best: the least loss",
  typical: "Typical: around the median",
  worst: "Worst: the greatest loss",
} as const;

/** The pictures of an example: image, reconstruction, error. */
interface Triple {
  image: string;
  output: string;
  error: string;
}

/** Bytes of 0…1. A plain loop, as millions of values go through it. */
function toBytes(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) bytes[i] = Math.round(255 * (values[i] as number));
  return bytes;
}

function drawTriples(
  { examples, inputShape }: Sample,
  bytes: readonly Uint8Array[],
  side: number,
): Triple[] {
  const [channels, height, width] = inputShape as [number, number, number];
  const shape: Shape = { channels, height, width };
  const maps = examples.map(({ image, output }) => errorMap(image, output, shape, side));
  const scale = commonScale(maps);
  return examples.map(({ image }, i) => {
    const heat: Pixels = paintHeat(maps[i] as (typeof maps)[number], scale);
    return {
      image: pngDataUri({ pixels: image, shape }, side),
      output: pngDataUri({ pixels: bytes[i] as Uint8Array, shape }, side),
      error: pngDataUri(heat, side),
    };
  });
}

const lengthOf = (triples: readonly Triple[]) =>
  triples.reduce(
    (sum, { image, output, error }) => sum + image.length + output.length + error.length,
    0,
  );

/** Pairs and error maps, whose pictures take at most `budget` bytes unless the smallest do not. */
export function drawExamples(sample: Sample, budget: number): Html {
  const bytes = sample.examples.map(({ output }) => toBytes(output));
  let triples: Triple[] = [];
  for (const side of SIDES) {
    triples = drawTriples(sample, bytes, side);
    if (lengthOf(triples) <= budget) break;
  }
  const isSmall = Math.max(...sample.inputShape.slice(1)) <= 96;
  const picture = (source: string, alt: string) =>
    html`<img src="${source}" alt="${alt}"${isSmall ? html` class="pixels"` : ""}>`;
  return html`${(["best", "typical", "worst"] as const).map((kind) => {
    const chosen = sample.examples.flatMap((example, i) =>
      example.kind === kind ? [{ example, triple: triples[i] as Triple }] : [],
    );
    if (chosen.length === 0) return "";
    return html`<h4>${KINDS[kind]}</h4>
<div class="examples">${chosen.map(
      ({ example: { name, loss }, triple }) => html`<figure>
<div class="triple">${picture(triple.image, `Image ${name}`)}${picture(triple.output, "Its reconstruction")}${picture(triple.error, "Where they differ")}</div>
<figcaption><span class="file">${name}</span> <span class="dim">loss ${figure(loss)}</span></figcaption>
</figure>`,
    )}</div>`;
  })}`;
}

/** A histogram; the dimension is too narrow to be seen where `isDead`. */
function drawHistogram({ counts, index, mean, deviation }: Dimension, isDead: boolean): Html {
  const most = Math.max(...counts);
  const bars = counts
    .map((n, i) => (n === 0 ? "" : `M${4 * i} 40v${(-38 * n) / most}h3.4V40z`))
    .join("");
  return html`<figure class="${isDead ? "dead" : "alive"}">
<svg viewBox="0 0 96 41" aria-hidden="true"><path d="${bars}"/></svg>
<figcaption>${index} <span class="dim">${figure(mean, 2)} ± ${figure(deviation, 2)}</span></figcaption>
</figure>`;
}

/** All histograms. */
export function drawHistograms({ shown, deviations }: Sample): Html {
  const greatest = deviations.reduce((a, b) => Math.max(a, b), 0);
  return html`<div class="histograms">${shown.map((dimension) =>
    drawHistogram(dimension, !(dimension.deviation > 0.01 * greatest)),
  )}</div>`;
}

/** From blue for −1 over white to orange for 1; told apart by all kinds of colour vision. */
const ENDS = { negative: [5, 84, 150], zero: [247, 247, 247], positive: [196, 84, 0] } as const;

/** The matrix of correlations of two dimensions or more, a pixel a pair. */
export function drawCorrelations({ shown, correlations }: Sample): Html {
  const n = shown.length;
  const pixels = new Uint8Array(3 * n * n);
  let strongest = { value: 0, a: 0, b: 0 };
  for (const [at, value] of correlations.entries()) {
    const end = value < 0 ? ENDS.negative : ENDS.positive;
    const share = Math.min(1, Math.abs(value));
    for (let channel = 0; channel < 3; channel++) {
      const zero = ENDS.zero[channel] as number;
      pixels[channel * n * n + at] = Math.round(zero + share * ((end[channel] as number) - zero));
    }
    const [row, column] = [Math.floor(at / n), at % n];
    if (row < column && Math.abs(value) > Math.abs(strongest.value)) {
      const [a, b] = [shown[row]?.index as number, shown[column]?.index as number];
      strongest = { value, a, b };
    }
  }
  const source = pngDataUri({ pixels, shape: { channels: 3, height: n, width: n } }, n);
  const said =
    strongest.value === 0
      ? "None are correlated."
      : `The strongest is ${figure(strongest.value, 2)}, of dimensions ${strongest.a} and ${strongest.b}.`;
  return html`<figure class="correlations">
<img class="pixels" src="${source}" alt="${`Correlations of ${n} dimensions with each other. ${said}`}">
<figcaption>Correlations of dimensions with each other: <span class="key negative"></span> −1,
<span class="key zero"></span> 0, <span class="key positive"></span> 1. ${said}</figcaption>
</figure>`;
}

const SIZE = 400;
const MARGIN = 14;
/** Of points; with as many shapes there are enough for 40 groups. */
const COLORS = 10;
const SHAPES = ["circle", "square", "triangle", "diamond"] as const;
/** More names than this would hide the map. */
const MOST_NAMED = 12;
/** Of a name, on the map; the legend has all of it. */
const MOST_LETTERS = 20;
/** Its size. */
const LETTER = 11;
const MOST_GROUPS = COLORS * SHAPES.length;

function drawPoint(shape: string, x: number, y: number): Html {
  const at = (dx: number, dy: number) => `${(x + dx).toFixed(1)} ${(y + dy).toFixed(1)}`;
  if (shape === "circle") return html`<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="4"/>`;
  const path = {
    square: `M${at(-3.5, -3.5)}h7v7h-7z`,
    triangle: `M${at(0, -4.8)}l4.6 8.2h-9.2z`,
    diamond: `M${at(0, -5)}l5 5l-5 5l-5-5z`,
  }[shape] as string;
  return html`<path d="${path}"/>`;
}

function median(values: number[]): number {
  values.sort((a, b) => a - b);
  return values[values.length >> 1] as number;
}

/** Of a group that lies in several places, the middle may be empty: the member next to it is not. */
function mostCentral(members: readonly number[], x: number[], y: number[]): number {
  const middle = (values: number[]) => median(members.map((i) => values[i] as number));
  const [cx, cy] = [middle(x), middle(y)];
  const distance = (i: number) => Math.hypot((x[i] as number) - cx, (y[i] as number) - cy);
  return members.reduce((best, i) => (distance(i) < distance(best) ? i : best));
}

/** The images of a class or cluster. */
interface Group {
  name: string;
  members: number[];
}

/** Groups that have images; the smallest ones together where there are too many to tell apart. */
function presentGroups({ names, of }: SampleMap["groups"]): Group[] {
  const all: Group[] = names.map((name) => ({ name, members: [] }));
  for (const [i, group] of of.entries()) all[group]?.members.push(i);
  const present = all.filter(({ members }) => members.length > 0);
  if (present.length <= MOST_GROUPS) return present;
  present.sort((a, b) => b.members.length - a.members.length);
  const others = present.splice(MOST_GROUPS).flatMap(({ members }) => members);
  return [...present, { name: "others", members: others }];
}

/** How points of a group look: its colour and shape. */
function signOf(group: number): { css: string; shape: string } {
  if (group >= MOST_GROUPS) return { css: "group", shape: "circle" };
  const shape = SHAPES[Math.floor(group / COLORS)] as string;
  return { css: `group c${group % COLORS}`, shape };
}

/** A group's name, of a long one both ends, at one of its points and within the frame. */
function drawLabel(name: string, x: number, y: number): Html {
  const letters = [...name];
  const text =
    letters.length > MOST_LETTERS
      ? [...letters.slice(0, MOST_LETTERS / 2), "…", ...letters.slice(1 - MOST_LETTERS / 2)].join(
          "",
        )
      : name;
  // Half of its width, of the widest letters.
  const reach = (LETTER * Math.min(MOST_LETTERS, letters.length)) / 2;
  const anchor = x - reach < 0 ? "start" : x + reach > SIZE ? "end" : "middle";
  return html`<text class="${anchor}" x="${x.toFixed(1)}" y="${y.toFixed(1)}">${text}</text>`;
}

/** The map with its legend, whose buttons pick a group out. */
export function drawMap({ places, groups, names, method }: SampleMap, id: string): Html {
  const n = names.length;
  const of = (axis: 0 | 1) => Array.from({ length: n }, (_, i) => places[2 * i + axis] as number);
  const [xs, ys] = [of(0), of(1)];
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [bottom, top] = [Math.min(...ys), Math.max(...ys)];
  // One scale for both axes: distances are what a map is about.
  const scale = (SIZE - 2 * MARGIN) / (Math.max(right - left, top - bottom) || 1);
  const x = xs.map((value) => SIZE / 2 + (value - (left + right) / 2) * scale);
  const y = ys.map((value) => SIZE / 2 - (value - (bottom + top) / 2) * scale);
  const present = presentGroups(groups);
  const clouds = present.map(({ members }, group) => {
    const { css, shape } = signOf(group);
    const points = members.map(
      (i) =>
        html`<g><title>${names[i]}</title>${drawPoint(shape, x[i] as number, y[i] as number)}</g>`,
    );
    return html`<g class="${css}" data-group="${group}">${points}</g>`;
  });
  const labels =
    present.length > MOST_NAMED
      ? ""
      : present.map(({ name, members }) => {
          const at = mostCentral(members, x, y);
          return drawLabel(name, x[at] as number, y[at] as number);
        });
  const legend = present.map(({ name, members }, group) => {
    const { css, shape } = signOf(group);
    return html`<li><button type="button" aria-pressed="false" data-map="${id}" data-group="${group}">
<svg viewBox="-7 -7 14 14" width="14" height="14" class="${css}" aria-hidden="true">${drawPoint(shape, 0, 0)}</svg>
<bdi>${name}</bdi> <span class="dim">${members.length}</span></button></li>`;
  });
  const label = `Map of ${n} images by ${method}, coloured by ${groups.by}; the list beside it has the groups.`;
  return html`<figure class="map">
<svg id="${id}" class="points" viewBox="${`0 0 ${SIZE} ${SIZE}`}" role="img" aria-label="${label}">${clouds}${labels}</svg>
<figcaption><p>${grouped(n)} images by ${method}: like lies beside like. Coloured by ${groups.by}.</p>
<ul class="legend">${legend}</ul></figcaption>
</figure>`;
}
