/** The page on which runs are watched: what `web/dashboard` fills. */
import type { Assets } from "../pages/assets.js";
import { type Document, makeDocument } from "../pages/document.js";
import { html } from "../pages/html.js";
import { VERSION } from "../version.js";

const LIST = html`<section id="list" aria-labelledby="list-title">
<div class="bar">
<h2 id="list-title">Runs</h2>
<label class="grow"><span class="unseen">Show runs by name, state or setting</span>
<input type="search" id="filter" autocomplete="off" spellcheck="false" placeholder="name, state, setting=value, val_loss&lt;0.1">
</label>
<p id="shown-count" role="status"></p>
<div class="buttons">
<button type="button" id="compare-shown" disabled>Compare all shown</button>
<button type="button" id="compare-none" disabled>Compare none</button>
</div>
</div>
<p id="list-said" role="status"></p>
<div class="scroll" id="list-frame" role="region" aria-label="Table of runs" tabindex="0">
<table id="runs"><thead><tr></tr></thead><tbody></tbody></table>
</div>
<div id="empty" hidden></div>
</section>`;

const SHOWN = html`<div id="shown" tabindex="-1">
<div id="views" class="group" role="group" aria-label="Shown below" hidden>
<button type="button" id="view-run" aria-pressed="true">Run</button>
<button type="button" id="view-compare" aria-pressed="false">Comparison</button>
</div>
<div id="run" hidden></div>
<div id="compare" hidden></div>
</div>`;

/**
 * The page.
 *
 * @param folder - Where runs are looked for, as a person named it.
 */
export function dashboardPage(folder: string, assets: Assets): Document {
  const body = html`<a class="skip" href="#shown">Skip the list</a>
<header><h1 class="file" id="folder">${folder}</h1>
<p id="counts"></p>
<p id="connection" role="status">Asking …</p>
<p class="dim">flexible-autoencoder ${VERSION}</p></header>
<main>
${LIST}
${SHOWN}
</main>`;
  return makeDocument({
    title: `${folder} – runs`,
    body,
    assets,
    images: "'self' data:",
    alsoAllowed: ["connect-src 'self'"],
  });
}
