/** The page as a whole: knows what is looked at, and tells its parts. */
import type { Changes, LiveRun } from "../../ts/dashboard/wire.ts";
import { byId, counted, make } from "../elements.ts";
import { hasToken, readAddress, takeToken, writeAddress } from "./address.ts";
import { CompareView, colourOf, MOST } from "./compare_view.ts";
import { Connection } from "./connection.ts";
import { CurveStore } from "./curve_store.ts";
import { RunList } from "./list.ts";
import { setAttribute, setText } from "./live.ts";
import { RunView } from "./run_view.ts";
import { Runs } from "./runs.ts";
import { moment } from "./words.ts";

/** The page. */
export class Dashboard {
  readonly #runs = new Runs();
  readonly #curves = new CurveStore((name) => this.#showCurves(name));
  readonly #list: RunList;
  readonly #runView: RunView;
  readonly #compareView: CompareView;
  readonly #connection: Connection;
  readonly #title = document.title;
  #chosen: string | null = null;
  /** Names of runs that are compared, and their slots. */
  readonly #compared = new Map<string, number>();
  #view: "run" | "compare" = "run";
  #canStop = false;
  /** All runs; another array only when their settings are others. */
  #others: LiveRun[] = [];
  #othersKey = "";

  constructor() {
    const token = takeToken();
    this.#list = new RunList(this.#runs, {
      chosen: (name) => this.#choose(name),
      ticked: (name, isTicked) => this.#tick(name, isTicked),
      shown: () => {
        this.#remember();
        this.#show();
      },
    });
    this.#runView = new RunView(this.#curves, token);
    this.#compareView = new CompareView(this.#curves, (name) => this.#choose(name));
    this.#connection = new Connection(
      {
        changed: (changes, isAll) => this.#take(changes, isAll),
        reached: (since) => this.#showConnection(since),
      },
      () => this.#runs.running() > 0,
    );
    byId("view-run").addEventListener("click", () => this.#look("run"));
    byId("view-compare").addEventListener("click", () => this.#look("compare"));
    byId("compare-shown").addEventListener("click", () => this.#compareShown());
    byId("compare-none").addEventListener("click", () => {
      this.#compared.clear();
      this.#say("");
      this.#comparedChanged();
    });
    addEventListener("hashchange", () => {
      // The printed address, opened where the page is already.
      if (hasToken()) {
        takeToken();
        location.reload();
        return;
      }
      this.#recall();
      this.#list.update();
      this.#show();
    });
  }

  begin(): void {
    this.#recall();
    this.#connection.askNow();
  }

  // What the server tells.

  #take(changes: Changes, isAll: boolean): void {
    if (isAll) this.#curves.clear();
    const changed = this.#runs.apply(changes, isAll);
    this.#canStop = changes.canStop;
    setText(byId("folder"), changes.folder);
    this.#showCounts();
    if (changed.size > 0 || isAll) {
      const all = this.#runs.all();
      const key = all.map(({ id, settings }) => `${id} ${Object.keys(settings).length}`).join();
      if (isAll || key !== this.#othersKey) this.#others = all;
      this.#othersKey = key;
      this.#list.update();
      this.#show();
    }
    document.documentElement.dataset.ready = "true";
  }

  #showCounts(): void {
    const all = this.#runs.order.length;
    const running = this.#runs.running();
    setText(byId("counts"), `${counted(all, "run")}, ${running} running`);
    const title = running > 0 ? `${running} running – ${this.#title}` : this.#title;
    if (document.title !== title) document.title = title;
    byId("list").classList.toggle("none", all === 0);
    const empty = byId("empty");
    empty.hidden = all > 0;
    if (all === 0 && empty.childElementCount === 0) empty.append(...emptyState());
  }

  #showConnection(since: Date | null): void {
    const element = byId("connection");
    const text =
      since === null ? "Live" : `Not reached since ${moment(since.getTime())}, trying again`;
    setText(element, text);
    setAttribute(element, "class", since === null ? "live" : "gone");
  }

  // What is looked at.

  #choose(name: string): void {
    this.#chosen = name;
    this.#look("run");
  }

  #look(view: "run" | "compare"): void {
    this.#view = view;
    this.#remember();
    this.#show();
  }

  #tick(name: string, isTicked: boolean): boolean {
    if (!isTicked) {
      this.#compared.delete(name);
      this.#say("");
    } else if (this.#compared.size >= MOST) {
      this.#say(`${MOST} runs at most are compared: take one away first.`);
      return false;
    } else {
      this.#compared.set(name, this.#freeSlot());
      if (this.#compared.size === 2) this.#view = "compare";
    }
    this.#comparedChanged();
    return isTicked;
  }

  #freeSlot(): number {
    const taken = new Set(this.#compared.values());
    for (let slot = 0; ; slot++) if (!taken.has(slot)) return slot;
  }

  #compareShown(): void {
    const { shown } = this.#list;
    this.#compared.clear();
    for (const { name } of shown.slice(0, MOST)) this.#compared.set(name, this.#freeSlot());
    this.#say(
      shown.length > MOST ? `The first ${MOST} of ${shown.length} are compared by curves.` : "",
    );
    this.#view = "compare";
    this.#comparedChanged();
  }

  #comparedChanged(): void {
    if (this.#compared.size < 2) this.#view = "run";
    this.#remember();
    this.#show();
  }

  #say(text: string): void {
    setText(byId("list-said"), text);
  }

  #remember(): void {
    writeAddress({
      run: this.#chosen,
      compared: [...this.#compared.keys()],
      view: this.#view,
      filter: this.#list.filter,
    });
  }

  #recall(): void {
    const { run, compared, view, filter } = readAddress();
    this.#chosen = run;
    this.#compared.clear();
    for (const name of compared.slice(0, MOST)) this.#compared.set(name, this.#freeSlot());
    this.#view = this.#compared.size >= 2 ? view : "run";
    this.#list.filter = filter;
  }

  // What is shown.

  /** The run that was chosen; unless one was, the newest that goes on, or the newest. */
  #current(): LiveRun | undefined {
    const chosen = this.#chosen === null ? undefined : this.#runs.get(this.#chosen);
    if (chosen !== undefined || this.#chosen !== null) return chosen;
    const all = this.#runs.all();
    const current = all.find(({ state }) => state === "running") ?? all[0];
    // From now on it is this one, whatever begins meanwhile.
    if (current !== undefined) this.#chosen = current.name;
    return current;
  }

  #show(): void {
    const run = this.#current();
    const isComparing = this.#view === "compare";
    const colours = new Map([...this.#compared].map(([name, slot]) => [name, colourOf(slot)]));
    this.#list.mark(run?.name ?? null, colours);
    byId("views").hidden = this.#compared.size < 2;
    setAttribute(byId("view-run"), "aria-pressed", String(!isComparing));
    setAttribute(byId("view-compare"), "aria-pressed", String(isComparing));
    setText(byId("view-compare"), `Comparison of ${this.#compared.size}`);
    byId<HTMLButtonElement>("compare-none").disabled = this.#compared.size === 0;
    byId("compare").hidden = !isComparing;
    byId("run").hidden = isComparing || run === undefined;
    if (isComparing) this.#compareView.update(this.#comparedRuns(), this.#list.shown);
    else if (run !== undefined) this.#runView.update(run, this.#others, this.#canStop);
  }

  #comparedRuns() {
    return [...this.#compared].flatMap(([name, slot]) => {
      const run = this.#runs.get(name);
      return run === undefined ? [] : [{ run, slot }];
    });
  }

  #showCurves(name: string): void {
    if (this.#view === "compare") {
      if (this.#compared.has(name)) this.#compareView.showCurves();
      return;
    }
    const run = this.#current();
    if (run?.name === name) this.#runView.showCurves(run);
  }
}

function emptyState(): HTMLElement[] {
  return [
    make("p", { class: "lead" }, "There are no runs here yet."),
    make("p", {}, "Train one, and it appears by itself:"),
    make("pre", {}, make("code", {}, "flexae run --train-dir=IMAGES --valid-dir=MORE_IMAGES")),
  ];
}
