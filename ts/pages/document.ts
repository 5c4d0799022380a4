/** A page as a whole: one file that loads nothing but what its policy says. */
import { createHash } from "node:crypto";
import type { Assets } from "./assets.js";
import { Html, html, type Part } from "./html.js";

/** What a page is made of. */
export interface PageContent {
  title: string;
  /** The element `body`, but for the script. Data that the script reads are in it. */
  body: Part;
  assets: Assets;
  /** Of images, by the Content Security Policy: `data:`, or what else. */
  images: string;
  /** What else its policy allows, such as `connect-src 'self'`; nothing unless given. */
  alsoAllowed?: readonly string[];
  /** Besides its own script, of `script-src`, such as `'unsafe-eval'`; nothing unless given. */
  scripts?: readonly string[];
}

/** A page in two parts, between which data may stand that the script does not need at once. */
export interface Document {
  begin: string;
  end: string;
  /** Its Content Security Policy, which it also states itself. */
  policy: string;
}

/** Puts a page together. It runs its own script alone, and forbids itself all that is not said. */
export function makeDocument(content: PageContent): Document {
  const { title, body, assets, images, alsoAllowed = [], scripts = [] } = content;
  const hash = createHash("sha256").update(assets.script).digest("base64");
  const policy = [
    "default-src 'none'",
    `img-src ${images}`,
    "style-src 'unsafe-inline'",
    ["script-src", `'sha256-${hash}'`, ...scripts].join(" "),
    ...alsoAllowed,
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  const begin = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<link rel="icon" href="data:,">
<title>${title}</title>
<style>${new Html(assets.style)}</style>
</head>
<body>
${body}
<script>${new Html(assets.script)}</script>
`.text;
  return { begin, end: "</body>\n</html>\n", policy };
}
