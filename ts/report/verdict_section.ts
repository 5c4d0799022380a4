/** What the rules found of a run, as a page shows it. */

import { type Html, html } from "../pages/html.js";
import type { RunFiles } from "../runs/record.js";
import { duration, grouped } from "./format.js";
import type { Judgement } from "./verdict.js";

const STATES: Record<string, string> = {
  finished: "Finished",
  early: "Stopped early",
  interrupted: "Interrupted",
  failed: "Failed",
  running: "Not ended",
  imported: "Imported",
};

/** A state, in words. */
export function stateText(state: string): string {
  return STATES[state] ?? state;
}

/** `1 epoch`, `10,000 epochs`. */
function epochCount(n: number): string {
  return `${grouped(n)} epoch${n === 1 ? "" : "s"}`;
}

/** How it ended, in a sentence. */
export function sentence({ state, epochs, seconds, error }: RunFiles): string {
  const how = stateText(state);
  if (state === "imported") return "Imported: it was trained elsewhere.";
  const within = Number.isFinite(seconds) ? ` in ${duration(seconds)}` : "";
  // A failure has its own box.
  const why = error === null || state === "failed" ? "" : ` ${error}`;
  return `${how} after ${epochCount(epochs.length)}${within}.${why}`;
}

/** How much the rules could say. */
function reachOf(judged: readonly Judgement[]): { of: number; open: number } {
  const open = judged.filter(({ finding }) => finding === undefined).length;
  return { of: judged.length - open, open };
}

/** What is wrong, or how much is known to be well. Green only where no rule was left open. */
export function findingBoxes({ state, error }: RunFiles, judged: readonly Judgement[]): Html {
  const findings = judged.flatMap(({ rule, finding }) => (finding ? [{ rule, ...finding }] : []));
  const failure =
    state === "failed" &&
    html`<div class="finding"><p><strong>The run failed.</strong> ${error}</p>
<p>What follows is as far as it came.</p></div>`;
  if (failure || findings.length > 0) {
    return html`${failure}${findings.map(
      ({ rule, what, advice }) =>
        html`<div class="finding"><p><strong>${rule.name}.</strong> ${what}</p>
<p>Try next: ${advice}</p></div>`,
    )}`;
  }
  const { of, open } = reachOf(judged);
  if (of === 0) {
    return html`<div class="finding open"><p><strong>Nothing could be judged</strong> by the rules below.</p></div>`;
  }
  if (open === 0) {
    return html`<div class="finding good"><p><strong>Nothing looks wrong</strong> by the ${of} rules below.</p></div>`;
  }
  return html`<div class="finding open"><p><strong>Nothing looks wrong</strong> by the ${of} of the rules below that could be judged; ${open} could not.</p></div>`;
}

/** The same in a cell. */
export function findingCell({ state }: RunFiles, judged: readonly Judgement[]): string {
  const found = judged.flatMap(({ rule, finding }) => (finding ? [rule.name] : []));
  if (state === "failed") found.unshift("it failed");
  if (found.length > 0) return found.join(", ");
  const { of, open } = reachOf(judged);
  if (of === 0) return "not judged";
  return open === 0 ? "nothing" : `nothing by ${of} of ${of + open} rules`;
}
