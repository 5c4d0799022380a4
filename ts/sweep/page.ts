/** `sweep.html`: the best trials, all of them as lines, and what mattered. */
import type { Assets } from "../pages/assets.js";
import { makeDocument } from "../pages/document.js";
import { type Html, html, jsonScript } from "../pages/html.js";
import { duration, figure, grouped } from "../report/format.js";
import { VERSION } from "../version.js";
import { dimensionText } from "./dimensions.js";
import { type Importance, importances } from "./importance.js";
import { ascending, isGreaterBetter } from "./metric.js";
import { repeatLine } from "./run_line.js";
import type { SweepSpec } from "./spec.js";
import { type SweepTrial, trialName } from "./trials.js";

/** What a page shows of a sweep. */
export interface SweepPage {
  /** Of its folder. */
  name: string;
  spec: SweepSpec;
  /** Epochs after which trials are compared; one where all are trained to their ends. */
  rungs: readonly number[];
  trials: readonly SweepTrial[];
  best: SweepTrial | null;
  /** Numbers of trials that have a page of their own. */
  pages: ReadonlySet<number>;
}

/** As many as of one, in words. */
const counted = (n: number, one: string) => `${grouped(n)} ${one}${n === 1 ? "" : "s"}`;

/** Rows of the first table. */
const MOST_BEST = 10;

/** The best first; those without a score last. */
function ranked({ trials, spec }: SweepPage): SweepTrial[] {
  const score = (trial: SweepTrial) =>
    (trial.comparedScore === null ? null : ascending(spec.metric, trial.score)) ??
    Number.POSITIVE_INFINITY;
  return [...trials].sort((a, b) => {
    const [x, y] = [score(a), score(b)];
    return x === y ? a.trial - b.trial : x - y;
  });
}

const STATES: Record<SweepTrial["state"], string> = {
  waiting: "waiting",
  running: "running",
  interrupted: "interrupted",
  stopped: "stopped by halving",
  finished: "finished",
  early: "stopped early",
  failed: "failed",
  invalid: "cannot be trained",
};

function trialsTable(page: SweepPage, trials: readonly SweepTrial[], label: string): Html {
  const { spec, best, pages } = page;
  const names = spec.dimensions.map(({ name }) => name);
  const rows = trials.map((trial) => {
    const name = trialName(trial);
    const link = pages.has(trial.trial)
      ? html`<a href="${`${name}/report.html`}">${name}</a>`
      : html`${name}`;
    const isBest = trial.trial === best?.trial;
    return html`<tr data-trial="${trial.trial}"${isBest ? html` class="best"` : ""}><th scope="row">${link}</th>
<td>${figure(trial.score, 5)}${isBest && " (best)"}</td>${names.map((name) => html`<td>${trial.settings[name] ?? ""}</td>`)}<td>${grouped(trial.epochs)}</td><td>${duration(trial.seconds)}</td><td>${STATES[trial.state]}</td></tr>`;
  });
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${label}">
<table class="numbers"><thead><tr><th scope="col">Trial</th><th scope="col">${spec.metric}</th>${names.map((name) => html`<th scope="col">${name}</th>`)}<th scope="col">Epochs</th><th scope="col">Time</th><th scope="col">State</th></tr></thead>
<tbody>${rows}</tbody></table></div>`;
}

function sentence({ trials, spec, rungs }: SweepPage): string {
  const count = (...states: SweepTrial["state"][]) =>
    trials.filter(({ state }) => states.includes(state)).length;
  const seconds = trials.reduce((sum, trial) => sum + trial.seconds, 0);
  const epochs = trials.reduce((sum, trial) => sum + trial.epochs, 0);
  const parts = [
    `Of ${counted(trials.length, "trial")}, ${grouped(count("finished", "early"))} trained to the end`,
    ...[
      [count("stopped"), "stopped by halving"],
      [count("failed"), "failed"],
      [count("invalid"), "that cannot be trained"],
      [count("interrupted", "running"), "under way"],
      [count("waiting"), "not begun"],
    ].flatMap(([n, what]) => (n === 0 ? [] : [`${n} ${what}`])),
  ];
  const how = spec.halving === null ? "" : `, compared after ${rungs.join(", ")}`;
  return `${parts.join(", ")}: ${counted(epochs, "epoch")} in ${duration(seconds)} of training${how}.`;
}

function bestSection(page: SweepPage): Html {
  const { best, spec } = page;
  const order = ranked(page).filter(({ comparedScore }) => comparedScore !== null);
  if (best === null) return html`<p>No trial has a score yet.</p>`;
  return html`${trialsTable(page, order.slice(0, MOST_BEST), "The best trials")}
<p>The best again, from its beginning:</p>
<pre tabindex="0" role="region" aria-label="The line that repeats it">${repeatLine(spec, best.settings)}</pre>`;
}

function percent(share: number): string {
  return share > 0 && share < 0.01 ? "under 1 %" : `${Math.round(100 * share)} %`;
}

function settingSection({ name, groups, share }: Importance, spec: SweepSpec): Html {
  const rows = groups.map(
    (group) =>
      html`<tr><th scope="row">${group.name}</th><td>${grouped(group.trials)}</td><td>${figure(group.mean)}</td><td>${figure(group.best)}</td></tr>`,
  );
  const bar =
    share === null
      ? html`<p class="dim">too few trials to tell</p>`
      : html`<p><svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true"><rect class="ground" width="100" height="6"/><rect class="share" width="${(100 * share).toFixed(1)}" height="6"/></svg><strong>${percent(share)}</strong></p>`;
  return html`<section class="setting" aria-label="${name}"><h4>${name}</h4>${bar}
<div class="scroll" tabindex="0" role="region" aria-label="${`Values of ${name}`}">
<table class="numbers"><thead><tr><th scope="col">Value</th><th scope="col">Trials</th><th scope="col">Mean ${spec.metric}</th><th scope="col">Best</th></tr></thead>
<tbody>${rows}</tbody></table></div></section>`;
}

function matteredSection(page: SweepPage): Html {
  const { spec, trials, rungs } = page;
  const points = trials.flatMap(({ settings, comparedScore }) =>
    comparedScore === null ? [] : [{ settings, score: comparedScore }],
  );
  const names = spec.dimensions.map(({ name }) => name);
  const all = importances(names, points, isGreaterBetter(spec.metric));
  const when =
    spec.halving === null
      ? ""
      : ` All are compared after ${counted(rungs[0] ?? 0, "epoch")}, which each of them was trained for: what matters later may be something else.`;
  const rest =
    spec.search === "grid" && all.every(({ share }) => share !== null)
      ? " What they leave is how settings work together, and chance."
      : "";
  const few = all.some(({ share }) => share === null)
    ? " With so few trials nobody can tell a setting from chance: try more, or sweep fewer settings."
    : "";
  return html`<p>The share of the variance of ${spec.metric}, over ${grouped(points.length)} trials, that each setting accounts for by itself.${when}${rest}${few} One very bad score outweighs many small differences: the means below say whether that is so.</p>
<div class="settings">${all.map((importance) => settingSection(importance, spec))}</div>
<details><summary>How this is computed</summary><p>ε², the correlation ratio of an analysis of variance, corrected for the number of values (Kelley, 1935; Carroll and Nordholm, 1975), and at least 0. What a sum of one term a setting leaves stands for chance. Numbers of more than six values are taken by quarters of the trials. Settings drawn at random may share a part of what they account for.</p></details>`;
}

function problemsSection({ trials }: SweepPage): Html | null {
  const wrong = trials.filter(({ problem }) => problem !== null);
  if (wrong.length === 0) return null;
  const rows = wrong.map(
    (trial) =>
      html`<tr><th scope="row">${trialName(trial)}</th><td>${STATES[trial.state]}</td><td class="file">${trial.problem}</td></tr>`,
  );
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Trials that have no result">
<table><thead><tr><th scope="col">Trial</th><th scope="col">State</th><th scope="col">Why</th></tr></thead>
<tbody>${rows}</tbody></table></div>`;
}

function sweptSection({ spec }: SweepPage): Html {
  const { search, halving, seed, dimensions, settings } = spec;
  const swept = new Set<string>(dimensions.map(({ name }) => name));
  const given = Object.entries(settings).filter(([name]) => !swept.has(name));
  const how = [
    ["search", search],
    [
      "halving",
      halving === null ? "none" : `eta ${halving.eta}, from ${counted(halving.minEpochs, "epoch")}`,
    ],
    ["seed", String(seed)],
    ...dimensions.map((dimension) => [dimension.name, dimensionText(dimension)]),
    ...given.filter(([name]) => name !== "seed"),
  ] as [string, string][];
  return html`<dl class="pairs">${how.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** A number where the text is one: axes place numbers by size. */
function axisValue(text: string | undefined): string | number | null {
  if (text === undefined) return null;
  return text !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}

/** What the script draws. */
function plotData({ trials, spec }: SweepPage): unknown {
  const shown = trials.filter(({ state }) => state !== "invalid" && state !== "waiting");
  const axes = spec.dimensions.map(({ name }) => ({
    name,
    values: shown.map(({ settings }) => axisValue(settings[name])),
  }));
  const scores = shown.map(({ score, comparedScore }) => (comparedScore === null ? null : score));
  return {
    axes: [...axes, { name: spec.metric, values: scores }],
    labels: shown.map(trialName),
    trials: shown.map(({ trial }) => trial),
    colourBy: axes.length,
  };
}

/** One page that needs no other file and no network. */
export function renderSweepPage(page: SweepPage, assets: Assets): string {
  const { name, trials, spec } = page;
  const problems = problemsSection(page);
  const lines = `Each line is a trial, and its colour its ${spec.metric}. Drag along an axis to filter; choose a line to find its row.`;
  const note =
    spec.halving === null
      ? ""
      : " Trials that halving stopped have the score of when they were stopped.";
  const sections: [string, string, Html][] = [
    ["best", "Best trials", bestSection(page)],
    [
      "lines",
      "All trials",
      html`<p>${lines}${note}</p><div id="plot"></div>
<details id="all"><summary>All ${grouped(trials.length)} trials as a table</summary>${trialsTable(page, ranked(page), "All trials")}</details>`,
    ],
    ["mattered", "What mattered", matteredSection(page)],
    ...(problems === null
      ? []
      : [["problems", "Without a result", problems] as [string, string, Html]]),
    ["swept", "What was swept", sweptSection(page)],
  ];
  const body = html`<a class="skip" href="#main">Skip to the best trials</a>
<header><h1>Sweep</h1><p class="dim">flexible-autoencoder ${VERSION}</p></header>
<main id="main"><h2>${name}</h2>
<p class="lead">${sentence(page)}</p>
${sections.map(
  ([id, title, content]) =>
    html`<section id="${id}" aria-labelledby="${`${id}-title`}"><h3 id="${`${id}-title`}">${title}</h3>${content}</section>`,
)}
</main>
${jsonScript("data", plotData(page))}`;
  const document = makeDocument({ title: `${name} – sweep`, body, assets, images: "data:" });
  return document.begin + document.end;
}
