/** All that is known of one run. */
import type { LiveRun } from "../../ts/dashboard/wire.ts";
import { byId, counted, make } from "../elements.ts";
import type { CurveStore } from "./curve_store.ts";
import { RunCurves } from "./curves.ts";
import { setAttribute, setText } from "./live.ts";
import { LoadCharts } from "./load.ts";
import { Pictures } from "./pictures.ts";
import { usualSettings } from "./settings.ts";
import { reportUrl } from "./source.ts";
import { StopButton } from "./stop.ts";
import { fill, fillPairs } from "./tables.ts";
import { figure, grouped, isRunning, moment, progressLine, shareDone, toneOf } from "./words.ts";

/** A part with a heading. */
function part(id: string, title: string, ...children: Node[]): HTMLElement {
  const heading = make("h3", { id: `${id}-title` }, title);
  return make("section", { id, "aria-labelledby": heading.id }, heading, ...children);
}

/** The panel of one run. */
export class RunView {
  readonly #place = byId("run");
  readonly #curveStore: CurveStore;
  readonly #name = make("h2", { class: "file" });
  readonly #state = make("span", { class: "state" });
  readonly #report = make("a", { target: "_blank", rel: "noopener" }, "Report");
  readonly #stop: StopButton;
  readonly #line = make("p", { class: "line" });
  readonly #fill = make("span", { class: "fill" });
  readonly #bar = make("div", { class: "progress wide" }, this.#fill);
  readonly #error = make("p", { class: "finding file" });
  readonly #tiles = make("dl", { class: "tiles" });
  readonly #curves = new RunCurves();
  readonly #noCurves = make("p", { class: "dim" });
  readonly #pictures = new Pictures();
  readonly #picturePart = part("pictures", "Reconstructions", this.#pictures.element);
  readonly #loads = new LoadCharts();
  readonly #loadPart = part("load", "System load", this.#loads.element);
  readonly #warnings = make("ol", { class: "warnings" });
  readonly #bad = make("p");
  readonly #warningPart = part("warnings", "Warnings", this.#bad, this.#warnings);
  readonly #unusual = make("dl", { class: "pairs" });
  readonly #unusualSaid = make("p", { class: "dim" });
  readonly #usual = make("dl", { class: "pairs" });
  readonly #usualSummary = make("summary");
  readonly #usualPart = make("details", {}, this.#usualSummary, this.#usual);
  readonly #settingPart = part(
    "settings",
    "Settings",
    this.#unusualSaid,
    this.#unusual,
    this.#usualPart,
  );
  #settingsKey = "";
  #settingsOthers: readonly LiveRun[] = [];

  constructor(curveStore: CurveStore, token: string | null) {
    this.#curveStore = curveStore;
    this.#stop = new StopButton(token);
    const about = make(
      "section",
      { id: "about", "aria-label": "Run" },
      make("div", { class: "head" }, this.#name, this.#state, this.#report, this.#stop.element),
      this.#line,
      this.#bar,
      this.#error,
      this.#tiles,
    );
    const curvePart = part("curves", "Curves", this.#noCurves, this.#curves.element);
    this.#place.append(
      about,
      make(
        "div",
        { class: "parts" },
        make("div", { class: "parts" }, curvePart, this.#warningPart),
        make("div", { class: "parts" }, this.#picturePart, this.#loadPart, this.#settingPart),
      ),
    );
  }

  /**
   * Shows a run as it is now.
   *
   * @param others - All runs; the same array as long as their settings are the same.
   */
  update(run: LiveRun, others: readonly LiveRun[], canStop: boolean): void {
    setText(this.#name, run.name);
    setText(this.#state, run.state);
    setAttribute(this.#state, "class", `state ${toneOf(run.state)}`);
    this.#report.hidden = !run.hasReport;
    setAttribute(this.#report, "href", reportUrl(run.id));
    this.#stop.update(run, canStop);
    setText(this.#line, progressLine(run));
    const share = shareDone(run);
    this.#bar.hidden = share === null || !isRunning(run);
    this.#fill.style.width = `${(100 * (share ?? 0)).toFixed(2)}%`;
    this.#error.hidden = run.error === null;
    setText(this.#error, run.error ?? "");
    fillPairs(this.#tiles, tilesOf(run));
    this.showCurves(run);
    this.#picturePart.hidden = run.pictures.length === 0;
    this.#pictures.update(run);
    this.#loadPart.hidden = run.loads.length === 0;
    this.#loads.update(run.loads);
    this.#showWarnings(run);
    this.#showSettings(run, others);
  }

  /** Shows what is known of its curves. */
  showCurves(run: LiveRun): void {
    const epochs = this.#curveStore.get(run);
    const isKnown = epochs !== undefined;
    this.#curves.element.hidden = !isKnown;
    this.#noCurves.hidden = isKnown;
    const none = run.epochs === 0 ? "They begin with the first epoch that is complete." : "…";
    setText(this.#noCurves, none);
    if (isKnown) this.#curves.update(epochs, run.bestEpoch);
  }

  #showWarnings({ warnings, badImages }: LiveRun): void {
    this.#warningPart.hidden = warnings.length === 0 && badImages === 0;
    this.#bad.hidden = badImages === 0;
    setText(this.#bad, `${counted(badImages, "image")} could not be used.`);
    const create = () => make("li", {}, make("time", { class: "dim" }), " ", make("span"));
    // The newest first: of a hundred, nobody wants to go to the end.
    fill(this.#warnings, [...warnings].reverse(), create, (element, { time, message }) => {
      const [at, text] = element.children as unknown as [HTMLElement, HTMLElement];
      setAttribute(text, "class", "file");
      setText(at, moment(time));
      setText(text, message);
    });
  }

  #showSettings(run: LiveRun, others: readonly LiveRun[]): void {
    const key = JSON.stringify([run.name, run.settings]);
    if (key === this.#settingsKey && others === this.#settingsOthers) return;
    this.#settingsKey = key;
    this.#settingsOthers = others;
    const all = Object.entries(run.settings);
    this.#settingPart.hidden = all.length === 0;
    const known = others.filter(({ settings }) => Object.keys(settings).length > 0);
    const isComparable = known.length > 2;
    const usual = usualSettings(known);
    const isUnusual = ([name, value]: [string, string]) =>
      isComparable && usual.get(name) !== value && name !== "save_dir";
    const unusual = all.filter(isUnusual);
    const rest = all.filter((pair) => !isUnusual(pair));
    fillPairs(this.#unusual, unusual);
    fillPairs(this.#usual, rest);
    this.#unusualSaid.hidden = !isComparable;
    const said =
      unusual.length === 0
        ? "All of them are as in most runs here."
        : "Other than in most runs here:";
    setText(this.#unusualSaid, said);
    const summary = isComparable ? `${rest.length} as in most runs` : `All ${rest.length}`;
    setText(this.#usualSummary, summary);
  }
}

const known = (value: number | null) => (value === null ? "–" : grouped(value));

function tilesOf(run: LiveRun): [string, string][] {
  const { scores, bestEpoch, trainImages, validImages, parameters } = run;
  const tiles = scores
    .filter(({ value }) => value !== null)
    .map(({ name, value }): [string, string] => [name, figure(value)]);
  tiles.push(["best epoch", known(bestEpoch)]);
  if (trainImages !== null) {
    tiles.push(["images", `${grouped(trainImages)} + ${known(validImages)}`]);
  }
  if (parameters !== null) tiles.push(["parameters", grouped(parameters)]);
  return tiles;
}
