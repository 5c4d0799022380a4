/** The button that stops a training, for whoever has the token. */
import type { LiveRun } from "../../ts/dashboard/wire.ts";
import { make } from "../elements.ts";
import { setText } from "./live.ts";
import { askToStop } from "./source.ts";
import { isRunning } from "./words.ts";

/** A button that asks back before it does it. */
export class StopButton {
  readonly #ask = make("button", { type: "button" }, "Stop …");
  readonly #sure = make("button", { type: "button", class: "danger" }, "Stop it");
  readonly #not = make("button", { type: "button" }, "Let it go on");
  readonly #question = make(
    "span",
    { class: "question", role: "group", "aria-label": "Stop this training?", hidden: true },
    "Stop this training? What it has learned stays. ",
    this.#sure,
    " ",
    this.#not,
  );
  readonly #said = make("span", { role: "status" });
  readonly element = make("span", { class: "stop" }, this.#ask, this.#question, this.#said);
  #run: LiveRun | undefined;
  /** The run that was told to stop. */
  #told: number | null = null;

  constructor(private readonly token: string | null) {
    this.#ask.addEventListener("click", () => {
      this.#showQuestion(true);
      this.#not.focus();
    });
    this.#not.addEventListener("click", () => {
      this.#showQuestion(false);
      this.#ask.focus();
    });
    this.#question.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#not.click();
    });
    this.#sure.addEventListener("click", () => void this.#stop());
  }

  update(run: LiveRun, canStop: boolean): void {
    if (run.id !== this.#run?.id) {
      this.#showQuestion(false);
      setText(this.#said, "");
      this.#told = null;
    }
    this.#run = run;
    const isOffered = canStop && this.token !== null && isRunning(run);
    if (!isRunning(run)) {
      this.#showQuestion(false);
      if (this.#told === run.id) setText(this.#said, "");
    }
    this.#ask.hidden = !isOffered || !this.#question.hidden || this.#told === run.id;
  }

  #showQuestion(isShown: boolean): void {
    this.#question.hidden = !isShown;
    this.#ask.hidden = isShown;
  }

  async #stop(): Promise<void> {
    const run = this.#run;
    if (run === undefined || this.token === null) return;
    this.#showQuestion(false);
    this.#ask.hidden = true;
    this.#told = run.id;
    setText(this.#said, "It was told to stop.");
    const problem = await askToStop(run.id, this.token);
    if (this.#run?.id !== run.id || problem === null) return;
    this.#told = null;
    this.#ask.hidden = false;
    setText(this.#said, `It cannot be stopped: ${problem}`);
  }
}
