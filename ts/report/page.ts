/** The page: what was found of runs, put into HTML. */
import { unicodePath } from "../files/paths.js";
import type { Assets } from "../pages/assets.js";
import { makeDocument } from "../pages/document.js";
import { type Html, html, jsonScript } from "../pages/html.js";
import type { RecordedEpoch, RunFiles } from "../runs/record.js";
import { VERSION } from "../version.js";
import { count, duration, figure, grouped } from "./format.js";
import { drawNetwork } from "./network_drawing.js";
import type { Sample } from "./sample.js";
import { drawCorrelations, drawExamples, drawHistograms, drawMap } from "./sample_section.js";
import { type Judgement, judge } from "./verdict.js";
import { findingBoxes, findingCell, sentence, stateText } from "./verdict_section.js";

/** All that a page shows of a run. */
export interface RunReport {
  files: RunFiles;
  /** Null where the model or its images are not there; `files.problems` says why. */
  sample: Sample | null;
}

/** Bytes of all pictures of a page. Its other parts take a few hundred thousand at most. */
const PICTURES = 2_000_000;
/** Bad images named. */
const MOST_BAD = 50;
/** Epochs in curves, and rows of their table. */
const MOST_POINTS = 1000;
const LEAST_POINTS = 100;
const MOST_ROWS = 100;

/** At most so many epochs, evenly, the best and the last among them. */
function thin(epochs: readonly RecordedEpoch[], most: number): RecordedEpoch[] {
  const step = Math.ceil(epochs.length / most);
  const best = bestEpoch(epochs);
  return epochs.filter(
    (epoch, i) => i % step === 0 || i === epochs.length - 1 || epoch.epoch === best,
  );
}

/** The last one that was the best so far. */
function bestEpoch(epochs: readonly RecordedEpoch[]): number | undefined {
  return epochs.findLast(({ best }) => best)?.epoch;
}

function judgeRun({ files, sample }: RunReport): Judgement[] {
  const { epochs, train, valid, bad, settings, trainImages, validImages } = files;
  const all = trainImages + validImages;
  const batches =
    settings === null ? Number.NaN : epochs.length * Math.ceil(trainImages / settings.batch_size);
  return judge({
    state: files.state,
    settings,
    epochs,
    batches: Number.isFinite(batches) ? batches : null,
    mse: train !== null && valid !== null ? { train: train.mse, valid: valid.mse } : null,
    bad: Number.isFinite(all) ? { images: bad.length, of: all } : null,
    deviations: sample?.deviations ?? null,
    images: sample?.images ?? null,
    outputs: sample?.outputs ?? null,
  });
}

function tile(name: string, value: string, note = ""): Html {
  return html`<div><dt>${name}</dt><dd>${value}</dd>${note && html`<dd class="dim">${note}</dd>`}</div>`;
}

function speedOf(epochs: readonly RecordedEpoch[]): number {
  const speeds = epochs.map(({ imagesPerSecond }) => imagesPerSecond).filter(Number.isFinite);
  speeds.sort((a, b) => a - b);
  return speeds[speeds.length >> 1] ?? Number.NaN;
}

function pairs(list: readonly [name: string, value: string][]): Html {
  return html`<dl class="pairs">${list.map(
    ([name, value]) => html`<div><dt>${name.replaceAll("_", " ")}</dt><dd>${value}</dd></div>`,
  )}</dl>`;
}

function tiles({ train, valid, epochs, ...files }: RunFiles): Html {
  const best = Number.isFinite(files.bestEpoch) ? files.bestEpoch : bestEpoch(epochs);
  const trained = (value: number | undefined) =>
    value === undefined ? "" : `training ${figure(value)}`;
  const psnr = figure(valid?.psnr, 3);
  return html`<dl class="tiles">
${tile("Validation loss", figure(valid?.loss), trained(train?.loss))}
${tile("Accuracy", figure(valid?.accuracy), trained(train?.accuracy))}
${tile("PSNR", psnr === "–" ? psnr : `${psnr} dB`, valid ? `squared error ${figure(valid.mse, 3)}` : "")}
${tile("Best epoch", best ? grouped(best) : "–", `of ${grouped(epochs.length)}`)}
${tile("Time", duration(files.seconds), files.started && `began ${files.started}`)}
${tile("Images per second", count(speedOf(epochs)), "median of epochs")}
</dl>`;
}

function verdictSection({ files }: RunReport, judged: readonly Judgement[]): Html {
  const looked = judged.map(({ rule, finding }) => {
    const outcome = finding === undefined ? "not judged" : finding === null ? "well" : "found";
    return html`<tr><th scope="row">${rule.name}</th><td>${rule.stated}</td><td class="${outcome}">${outcome}</td></tr>`;
  });
  return html`<p class="lead">${sentence(files)}</p>
${findingBoxes(files, judged)}
${files.state === "imported" ? pairs([...files.imported, ["imported", files.started]]) : tiles(files)}
<details><summary>What was looked for</summary>
<div class="scroll" tabindex="0" role="region" aria-label="Rules">
<table><thead><tr><th scope="col">Rule</th><th scope="col">Holds when</th><th scope="col">Here</th></tr></thead>
<tbody>${looked}</tbody></table></div></details>
${files.problems.map((problem) => html`<p class="problem">Not shown: ${problem}</p>`)}`;
}

function chart(run: number, name: string, title: string, label: string): Html {
  return html`<figure class="card"><figcaption>${title}</figcaption>
<div class="chart" data-run="${run}" data-chart="${name}" role="img" aria-label="${label}"></div></figure>`;
}

/** The learning rate. An earlier run's metrics.csv does not have it: there only on_nan changes it. */
function rateSentence({ learningRate, settings, resumed, epochs }: RunFiles): string {
  if (settings === null) return "";
  const rate = `The learning rate of ${settings.optimizer}`;
  const rates = epochs.map((epoch) => epoch.learningRate);
  if (rates.every(Number.isFinite)) {
    const [first, last] = [rates[0], rates.at(-1)];
    return new Set(rates).size === 1
      ? `${rate} was ${first} in all epochs.`
      : `${rate} was ${first} at first, and ${last} at the end.`;
  }
  const times = resumed === 1 ? "once" : `${resumed} times`;
  const again = resumed === 0 ? "" : ` The run went on ${times}, maybe with another one.`;
  // How often it was halved is not in the run's files.
  if (settings.on_nan === "skip") {
    return `${rate} began at ${learningRate}, and was halved wherever the loss was not finite.${again}`;
  }
  return resumed === 0
    ? `${rate} was ${learningRate} in all epochs.`
    : `${rate} was ${learningRate} at the end.${again}`;
}

function curvesSection({ files }: RunReport, i: number): Html {
  const { epochs } = files;
  if (epochs.length === 0) return html`<p>No epoch was completed.</p>`;
  const [first, last] = [epochs[0] as RecordedEpoch, epochs.at(-1) as RecordedEpoch];
  const fromTo = (name: keyof RecordedEpoch) =>
    `from ${figure(first[name] as number)} to ${figure(last[name] as number)}`;
  const cell = (value: number) => html`<td>${figure(value)}</td>`;
  const hasRates = epochs.some(({ learningRate }) => Number.isFinite(learningRate));
  const best = bestEpoch(epochs);
  const rows = thin(epochs, MOST_ROWS).map(
    (e) =>
      html`<tr${e.epoch === best ? html` class="best"` : ""}><th scope="row">${e.epoch}</th>${[
        e.loss,
        e.validLoss,
        e.accuracy,
        e.validAccuracy,
      ].map(cell)}<td>${count(e.imagesPerSecond)}</td><td>${duration(e.seconds)}</td></tr>`,
  );
  return html`<div class="charts">
${chart(i, "loss", "Loss", `Training loss ${fromTo("loss")}, validation loss ${fromTo("validLoss")}.`)}
${chart(i, "accuracy", "Accuracy", `Training accuracy ${fromTo("accuracy")}, validation accuracy ${fromTo("validAccuracy")}.`)}
${chart(i, "speed", "Images per second", `Training images per second ${fromTo("imagesPerSecond")}.`)}
${hasRates && chart(i, "rate", "Learning rate", `Learning rate ${fromTo("learningRate")}.`)}
</div>
<p>${rateSentence(files)}
The dashed line marks the best epoch, whose weights were kept.</p>
<noscript><p>The curves want JavaScript; the table below has their numbers.</p></noscript>
<details><summary>Epochs as a table</summary>
<div class="scroll" tabindex="0" role="region" aria-label="Epochs">
<table class="numbers"><thead><tr><th scope="col">Epoch</th><th scope="col">Loss</th><th scope="col">Validation loss</th><th scope="col">Accuracy</th><th scope="col">Validation accuracy</th><th scope="col">Images/s</th><th scope="col">Time</th></tr></thead>
<tbody>${rows}</tbody></table></div></details>`;
}

function networkSection({ files: { summary } }: RunReport): Html {
  if (summary === null) return html`<p>The settings of the run cannot be read.</p>`;
  const { parameters, encoder, macs } = summary;
  const rows = summary.layers.map(
    (layer) =>
      html`<tr><th scope="row">${layer.name}</th><td>${layer.type}</td><td>${layer.outputShape.join("×")}</td><td>${grouped(layer.parameters)}</td><td>${grouped(layer.macs)}</td></tr>`,
  );
  return html`${drawNetwork(summary)}
<p>${grouped(parameters.total)} parameters, ${grouped(parameters.trainable)} of them trained and
${grouped(encoder.parameters)} in the encoder; ${grouped(macs)} multiply-accumulates an image. Below
each bar: the layer, its output, its parameters.</p>
<details><summary>All layers</summary>
<div class="scroll" tabindex="0" role="region" aria-label="Layers">
<table class="numbers"><thead><tr><th scope="col">Layer</th><th scope="col">Type</th><th scope="col">Output C×H×W</th><th scope="col">Parameters</th><th scope="col">Multiply-accumulates</th></tr></thead>
<tbody>${rows}</tbody></table></div></details>`;
}

function embeddingSection(sample: Sample, i: number): Html {
  const { shown, dims, images } = sample;
  const which =
    shown.length < dims
      ? `the ${shown.length} most varied of ${dims} dimensions`
      : "each dimension";
  const map = sample.map !== null && drawMap(sample.map, `r${i}-points`);
  const correlations = shown.length > 1 && drawCorrelations(sample);
  return html`<p>${dims === 1 ? "1 number" : `${dims} numbers`} an image, over ${grouped(images)} ${sample.set} images. Histograms
of ${which}, with mean ± standard deviation.</p>
${drawHistograms(sample)}
${(map || correlations) && html`<div class="pair">${map}${correlations}</div>`}`;
}

function badSection({ files: { bad } }: RunReport): Html {
  const rows = bad
    .slice(0, MOST_BAD)
    .map(
      ({ set, file, reason }) =>
        html`<tr><td>${set}</td><td class="file">${file}</td><td>${reason}</td></tr>`,
    );
  const more =
    bad.length > MOST_BAD &&
    html`<p>These are the first ${MOST_BAD}; bad_images.csv has all ${grouped(bad.length)}.</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Bad images">
<table><thead><tr><th scope="col">Set</th><th scope="col">File</th><th scope="col">Reason</th></tr></thead>
<tbody>${rows}</tbody></table></div>${more}`;
}

function settingsTable(listed: RunFiles["listed"], label: string): Html {
  const rows = listed.map(
    ({ name, value, usual }) =>
      html`<tr><th scope="row">${name}</th><td>${value}</td><td class="dim">${usual}</td></tr>`,
  );
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${label}">
<table><thead><tr><th scope="col">Setting</th><th scope="col">Here</th><th scope="col">Default</th></tr></thead>
<tbody>${rows}</tbody></table></div>`;
}

function settingsSection({ files: { listed } }: RunReport): Html {
  const [differ, same] = [true, false].map((differs) =>
    listed.filter((setting) => setting.differs === differs),
  ) as [RunFiles["listed"], RunFiles["listed"]];
  return html`${
    differ.length === 0
      ? html`<p>All settings are the defaults.</p>`
      : settingsTable(differ, "Settings that differ from the defaults")
  }
${same.length > 0 && html`<details><summary>${same.length} settings as by default</summary>${settingsTable(same, "Settings as by default")}</details>`}`;
}

function machineSection({ files: { versions, device, folder } }: RunReport): Html {
  return pairs([["folder", folder], ...versions, ...device]);
}

/** Parts of a run, in their order: the name in ids, the title, and what is in it if anything is. */
function sectionsOf(run: RunReport, i: number, budget: number): [string, string, Html][] {
  const { sample, files } = run;
  const all: [string, string, Html | null][] = [
    ["curves", "Curves", files.state === "imported" ? null : curvesSection(run, i)],
    [
      "images",
      "Before and after",
      sample &&
        html`<p>Of ${grouped(sample.images)} ${sample.set} images drawn from ${grouped(sample.of)}:
image, reconstruction, and where they differ, from black to light yellow in one scale for
all.</p>${drawExamples(sample, budget)}`,
    ],
    ["network", "Network", networkSection(run)],
    ["embedding", "Embedding", sample && embeddingSection(sample, i)],
    ["bad", "Bad images", files.bad.length > 0 ? badSection(run) : null],
    ["settings", "Settings", settingsSection(run)],
    ["machine", "Versions and machine", machineSection(run)],
  ];
  return all.filter((section): section is [string, string, Html] => section[2] !== null);
}

function runArticle(run: RunReport, i: number, judged: Judgement[], budget: number): Html {
  const sections = sectionsOf(run, i, budget);
  const id = (name: string) => `r${i}-${name}`;
  return html`<article id="${`r${i}`}" aria-labelledby="${id("title")}">
<h2 id="${id("title")}">${run.files.title}</h2>
<nav aria-label="${`Parts of ${run.files.title}`}"><ul>${sections.map(
    ([name, title]) => html`<li><a href="${`#${id(name)}`}">${title}</a></li>`,
  )}</ul></nav>
<section class="verdict" aria-label="${`Verdict on ${run.files.title}`}">${verdictSection(run, judged)}</section>
${sections.map(
  ([name, title, content]) =>
    html`<section id="${id(name)}" aria-labelledby="${id(`${name}-title`)}"><h3 id="${id(`${name}-title`)}">${title}</h3>${content}</section>`,
)}
</article>`;
}

function overview(runs: readonly RunReport[], judged: readonly Judgement[][]): Html {
  const losses = runs.map(({ files }) => files.valid?.loss ?? Number.NaN);
  const least = Math.min(...losses.filter(Number.isFinite));
  const rows = runs.map(({ files }, i) => {
    const isBest = files.valid?.loss === least;
    return html`<tr${isBest ? html` class="best"` : ""}><th scope="row"><a href="${`#r${i}`}">${files.title}</a></th>
<td>${stateText(files.state)}</td><td>${figure(files.valid?.loss)}${isBest ? " (least)" : ""}</td><td>${figure(files.valid?.accuracy)}</td><td>${figure(files.valid?.psnr, 3)}</td><td>${grouped(files.epochs.length)}</td><td>${duration(files.seconds)}</td><td>${count(files.summary?.parameters.total ?? Number.NaN)}</td><td>${findingCell(files, judged[i] as Judgement[])}</td></tr>`;
  });
  return html`<section aria-labelledby="overview-title"><h2 id="overview-title">${runs.length} runs</h2>
<div class="scroll" tabindex="0" role="region" aria-label="Runs">
<table class="numbers"><thead><tr><th scope="col">Run</th><th scope="col">State</th><th scope="col">Validation loss</th><th scope="col">Accuracy</th><th scope="col">PSNR, dB</th><th scope="col">Epochs</th><th scope="col">Time</th><th scope="col">Parameters</th><th scope="col">Looks wrong</th></tr></thead>
<tbody>${rows}</tbody></table></div></section>`;
}

/** Columns of curves, to six digits. What is not finite becomes null. */
function curveData({ files: { epochs } }: RunReport, most: number): Record<string, unknown> {
  const shown = thin(epochs, most);
  const column = (name: Exclude<keyof RecordedEpoch, "best">) =>
    shown.map((epoch) => Number(epoch[name].toPrecision(6)));
  return {
    best: bestEpoch(epochs) ?? null,
    epoch: shown.map(({ epoch }) => epoch),
    loss: column("loss"),
    validLoss: column("validLoss"),
    accuracy: column("accuracy"),
    validAccuracy: column("validAccuracy"),
    imagesPerSecond: column("imagesPerSecond"),
    learningRate: column("learningRate"),
  };
}

/** Names of folders, with as much of the path before them as it takes to tell them apart. */
function distinctTitles(runs: readonly RunFiles[]): string[] {
  const parts = runs.map(({ folder }) => unicodePath(folder).split(/[\\/]/));
  return runs.map(({ title, folder }, i) => {
    const own = parts[i] as string[];
    const same = runs.flatMap((run, at) =>
      run.title === title && run.folder !== folder ? [parts[at] as string[]] : [],
    );
    for (let n = 1; n < own.length; n++) {
      const short = own.slice(-n).join("/");
      if (same.every((other) => other.slice(-n).join("/") !== short)) return short;
    }
    return own.join("/");
  });
}

/**
 * One page of one run or several. It needs no other file and no network, and forbids itself both.
 * Samples are drawn by opencv4nodejs, which must be there for them.
 */
export function renderPage(all: readonly RunReport[], assets: Assets): string {
  const titles = distinctTitles(all.map(({ files }) => files));
  const runs = all.map(({ files, sample }, i) => {
    return { files: { ...files, title: titles[i] as string }, sample };
  });
  const judged = runs.map(judgeRun);
  const title = runs.length === 1 ? (runs[0]?.files.title as string) : `${runs.length} runs`;
  const budget = PICTURES / runs.length;
  // Of many runs the curves are small, and their data together must not be much more than of one.
  const points = Math.max(LEAST_POINTS, Math.floor((3 * MOST_POINTS) / runs.length));
  const body = html`<a class="skip" href="#main">Skip to the verdict</a>
<header><h1>${runs.length === 1 ? "Report of a run" : "Report of runs"}</h1>
<p class="dim">flexible-autoencoder ${VERSION}</p></header>
<main id="main">
${runs.length > 1 && overview(runs, judged)}
${runs.map((run, i) => runArticle(run, i, judged[i] as Judgement[], budget))}
</main>
${jsonScript(
  "data",
  runs.map((run) => curveData(run, Math.min(MOST_POINTS, points))),
)}`;
  const page = makeDocument({ title: `${title} – report`, body, assets, images: "data:" });
  return page.begin + page.end;
}
