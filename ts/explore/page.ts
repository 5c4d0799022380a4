/** The page on which images are explored: what `web/explore` fills. */
import type { Assets } from "../pages/assets.js";
import { type Document, makeDocument } from "../pages/document.js";
import { type Html, html } from "../pages/html.js";
import { VERSION } from "../version.js";
import type { WireHeader } from "./wire.js";

function button(id: string, label: string, title: string, pressed?: boolean): Html {
  const state = pressed === undefined ? "" : html` aria-pressed="${String(pressed)}"`;
  return html`<button type="button" id="${id}" title="${title}"${state}>${label}</button>`;
}

function tools(hasThumbnails: boolean): Html {
  return html`<div id="tools" role="toolbar" aria-label="Map">
<div class="group" role="group" aria-label="What dragging does">
${button("move", "Move", "Drag to move the map (m)", true)}
${button("lasso", "Lasso", "Drag around images to select them (l, or hold Shift)", false)}
${button("box", "Box", "Drag a box around images to select them (b)", false)}
</div>
<div class="group" role="group" aria-label="Zoom">
${button("zoom-in", "+", "Zoom in (+)")}
${button("zoom-out", "−", "Zoom out (−)")}
${button("reset", "All", "Show all images (0)")}
</div>
${hasThumbnails && html`<label class="check"><input type="checkbox" id="show-thumbnails" checked> Thumbnails</label>`}
<label>Points <input type="range" id="point-size" min="1" max="12" step="0.5" value="3"></label>
</div>`;
}

const CONTROLS = html`<section aria-labelledby="search-title">
<h2 id="search-title">Find</h2>
<label for="search">By path, or a part of it</label>
<input type="search" id="search" autocomplete="off" spellcheck="false">
<p id="search-count" role="status"></p>
<button type="button" id="search-select" hidden>Select all that were found</button>
<ol id="search-results" class="rows"></ol>
</section>
<section aria-labelledby="colour-title">
<h2 id="colour-title">Colour</h2>
<label for="colour">By</label>
<select id="colour"></select>
<div id="legend"></div>
</section>
<section aria-labelledby="filters-title">
<h2 id="filters-title">Filter</h2>
<p id="filter-count" role="status" tabindex="-1"></p>
<div id="filters"></div>
<button type="button" id="filters-clear" hidden>Remove all filters</button>
</section>`;

const PANEL = html`<section aria-labelledby="selection-title">
<h2 id="selection-title">Selection</h2>
<p id="selection-count" role="status" tabindex="-1"></p>
<div class="buttons">
<button type="button" id="select-shown" title="All that filters leave and that lie in the picture (a)">Select what is in view</button>
<button type="button" id="select-invert">Invert</button>
<button type="button" id="select-clear" title="Escape, in the map">Clear</button>
</div>
<div class="buttons">
<button type="button" id="export">Save as CSV</button>
<button type="button" id="copy">Copy paths</button>
</div>
<p id="export-state" role="status"></p>
<div id="selection-images" class="images"></div>
</section>
<section aria-labelledby="image-title">
<h2 id="image-title">Image</h2>
<p id="image-said" class="unseen" role="status"></p>
<div id="image"><p class="dim">Click a point, or press Enter in the map for the one in the middle.</p></div>
</section>`;

/** What the script is told besides the data. */
export interface PageSource {
  /** `page`: all is in it. `server`: it asks for the rest. */
  source: "page" | "server";
  /** The block of data, of a page that has it all. */
  data?: Html;
}

/** The page, in two parts; sheets of a page that has them all stand in between. */
export function explorePage(header: WireHeader, assets: Assets, from: PageSource): Document {
  const { title, note, rows, thumbnails } = header;
  const isServed = from.source === "server";
  const count = `${rows.toLocaleString("en")} images`;
  const body = html`<a class="skip" href="#controls">Skip the map</a>
<header><h1 class="file">${title}</h1><p class="dim">${count}, ${note}</p>
<p class="dim">flexible-autoencoder ${VERSION}</p></header>
<main>
<div id="view">
${tools(thumbnails !== null)}
<div id="map">
<canvas id="points" tabindex="0" role="application" aria-label="${`Map of ${count}. Arrow keys move it, plus and minus zoom, Enter takes the image in the middle.`}"></canvas>
<canvas id="pictures" aria-hidden="true"></canvas>
<div id="tip" hidden></div>
<p id="state" role="status">Reading ${count} …</p>
</div>
</div>
<div id="panel" tabindex="-1">${PANEL}</div>
<div id="controls" tabindex="-1">${CONTROLS}</div>
</main>
<div id="source" hidden data-source="${from.source}"></div>
${from.data}`;
  return makeDocument({
    title: `${title} – explore`,
    body,
    assets,
    images: isServed ? "'self' data: blob:" : "data: blob:",
    // regl makes functions of the programs that it draws by; no data are among them.
    scripts: ["'unsafe-eval'"],
    alsoAllowed: isServed ? ["connect-src 'self'"] : [],
  });
}
