/** The same images as the model made them after one epoch and another. */
import type { LiveRun } from "../../ts/dashboard/wire.ts";
import { counted, make } from "../elements.ts";
import { setAttribute, setText } from "./live.ts";
import { pictureUrl } from "./source.ts";

/** An image on the page is at most so large, and strips of larger ones scroll below so small. */
const LARGEST = 140;
const SMALLEST = 44;
/** Pictures that are kept. */
const KEPT = 200;
/** Playing takes about so long, in milliseconds, but a picture is seen for a moment at least. */
const PLAYING = 10_000;
const MOMENT = 120;
const LONGEST_MOMENT = 700;

const wantsLessMotion = matchMedia("(prefers-reduced-motion: reduce)");

/** Originals, reconstructions, and a slider over epochs. */
export class Pictures {
  readonly #originals = make("div");
  readonly #made = make("div", { id: "reconstructions" });
  readonly #frame = make(
    "div",
    {
      class: "strips scroll",
      role: "region",
      "aria-label": "Images and reconstructions",
      tabindex: 0,
    },
    make("p", { class: "dim" }, "Originals"),
    this.#originals,
    make("p", { class: "dim" }, "As the model makes them"),
    this.#made,
  );
  readonly #slider = make("input", { type: "range", min: 0, step: 1, "aria-label": "Epoch" });
  // No <output>: that is read out with each new epoch, and the slider says it by itself.
  readonly #said = make("span", { class: "epoch" });
  readonly #play = make("button", { type: "button" }, "Play");
  readonly #newest = make("button", { type: "button", "aria-pressed": "true" }, "Newest");
  readonly element = make(
    "div",
    {},
    this.#frame,
    make("div", { class: "slide" }, this.#play, this.#slider, this.#newest, this.#said),
  );
  readonly #kept = new Map<string, Promise<HTMLImageElement | null>>();
  #run: LiveRun | undefined;
  /** Whether the newest epoch is shown, whichever that is. */
  #follows = true;
  #epoch: number | null = null;
  #playing: ReturnType<typeof setTimeout> | undefined;
  /** What is on the page. */
  #shown = "";

  constructor() {
    this.#slider.addEventListener("input", () => {
      this.#stopPlaying();
      this.#goTo(Number(this.#slider.value));
    });
    this.#newest.addEventListener("click", () => {
      this.#stopPlaying();
      this.#goTo(this.#epochs.length - 1);
    });
    this.#play.addEventListener("click", () => {
      if (this.#playing === undefined) this.#startPlaying();
      else this.#stopPlaying();
    });
    const showPlay = () => {
      this.#play.hidden = wantsLessMotion.matches;
      this.#stopPlaying();
    };
    wantsLessMotion.addEventListener("change", showPlay);
    showPlay();
    new ResizeObserver(() => this.#fit()).observe(this.#frame);
  }

  get #epochs(): readonly number[] {
    return this.#run?.pictures ?? [];
  }

  /** Shows a run. Of another one than before, the newest picture. */
  update(run: LiveRun): void {
    if (this.#run?.name !== run.name || this.#run.id !== run.id) {
      this.#stopPlaying();
      if (this.#run?.name !== run.name) this.#follows = true;
      this.#kept.clear();
      this.#shown = "";
      this.#originals.replaceChildren();
      this.#made.replaceChildren();
    } else if (this.#run.picturesKey !== run.picturesKey) {
      // A training that went back makes its pictures anew.
      this.#kept.clear();
      this.#shown = "";
    }
    this.#run = run;
    this.element.hidden = this.#epochs.length === 0;
    if (this.#epochs.length === 0) return;
    const last = this.#epochs.length - 1;
    setAttribute(this.#slider, "max", String(last));
    const at = this.#follows ? last : this.#placeOf(this.#epoch ?? 0);
    this.#show(at);
  }

  /** Of an epoch that has no picture any more, the next one that has. */
  #placeOf(epoch: number): number {
    const at = this.#epochs.findIndex((other) => other >= epoch);
    return at < 0 ? this.#epochs.length - 1 : at;
  }

  #goTo(at: number): void {
    this.#follows = at === this.#epochs.length - 1;
    this.#show(at);
  }

  #show(at: number): void {
    const run = this.#run;
    const epoch = this.#epochs[at];
    if (run === undefined || epoch === undefined) return;
    this.#epoch = epoch;
    if (this.#slider.value !== String(at)) this.#slider.value = String(at);
    setAttribute(this.#slider, "aria-valuetext", `epoch ${epoch}`);
    setAttribute(this.#newest, "aria-pressed", String(this.#follows));
    setText(this.#said, `epoch ${epoch.toLocaleString("en")}`);
    void this.#draw(run, epoch);
  }

  async #draw(run: LiveRun, epoch: number): Promise<void> {
    const key = `${run.id}/${epoch}`;
    if (key === this.#shown) return;
    const [originals, made] = await Promise.all([this.#load(run, 0), this.#load(run, epoch)]);
    // Somebody went on meanwhile.
    const isOther = this.#run?.id !== run.id || this.#run.picturesKey !== run.picturesKey;
    if (isOther || this.#epoch !== epoch || made === null) return;
    this.#shown = key;
    const images = counted(run.pictureCount, "validation image");
    // Both are decoded: the page never shows an empty place in between.
    if (originals !== null) {
      originals.alt = images;
      this.#put(this.#originals, originals);
    }
    made.alt = `${images} as the model makes them after epoch ${epoch}`;
    this.#put(this.#made, made);
    this.#made.dataset.epoch = String(epoch);
    this.#fit();
  }

  #put(place: HTMLElement, image: HTMLImageElement): void {
    if (place.firstChild !== image) place.replaceChildren(image);
  }

  /** A picture that is ready to be shown; null if it cannot be had. */
  #load({ id }: LiveRun, epoch: number): Promise<HTMLImageElement | null> {
    const url = pictureUrl(id, epoch);
    let loading = this.#kept.get(url);
    if (loading === undefined) {
      const image = new Image();
      image.src = url;
      loading = image.decode().then(
        () => image,
        () => {
          this.#kept.delete(url);
          return null;
        },
      );
      const oldest = [...this.#kept.keys()].find((key) => !key.endsWith("/0"));
      if (this.#kept.size >= KEPT && oldest !== undefined) this.#kept.delete(oldest);
    }
    this.#kept.delete(url);
    this.#kept.set(url, loading);
    return loading;
  }

  /** Small images grow by whole pixels of the screen, and stay sharp. */
  #fit(): void {
    const count = this.#run?.pictureCount ?? 0;
    const images = this.#frame.querySelectorAll("img");
    const room = this.#frame.clientWidth;
    if (count === 0 || room === 0) return;
    const ratio = devicePixelRatio;
    const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
    const widest = Math.min(room, (count * LARGEST * rem) / 16);
    for (const image of images) {
      const { naturalWidth } = image;
      const times = Math.floor((widest * ratio) / naturalWidth);
      const isWhole = times >= 1;
      const width = isWhole ? (times * naturalWidth) / ratio : Math.max(widest, count * SMALLEST);
      image.style.width = `${width}px`;
      image.classList.toggle("pixels", isWhole);
    }
  }

  #startPlaying(): void {
    const last = this.#epochs.length - 1;
    const from = this.#placeOf(this.#epoch ?? 0);
    setText(this.#play, "Pause");
    const step = (at: number) => {
      this.#goTo(at);
      const end = this.#epochs.length - 1;
      if (at >= end) {
        this.#stopPlaying();
        return;
      }
      const wait = Math.min(LONGEST_MOMENT, Math.max(MOMENT, PLAYING / Math.max(1, end)));
      this.#playing = setTimeout(() => {
        // A server far away: the next one is shown when it is there.
        const epoch = this.#epochs[at + 1];
        const run = this.#run;
        if (epoch === undefined || run === undefined) {
          this.#stopPlaying();
          return;
        }
        const playing = this.#playing;
        void this.#load(run, epoch).then(() => {
          if (playing !== undefined && this.#playing === playing) step(at + 1);
        });
      }, wait);
    };
    step(from >= last ? 0 : from);
  }

  #stopPlaying(): void {
    clearTimeout(this.#playing);
    this.#playing = undefined;
    setText(this.#play, "Play");
  }
}
