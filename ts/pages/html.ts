/** HTML from data: what a template is given is escaped, unless a template made it. */

/** Markup that a template made, and so needs no escaping. */
export class Html {
  /** @param text - Markup. Made here, and of what the build made, alone. */
  constructor(readonly text: string) {}
}

/** What may stand in a template: null, undefined and false leave nothing. */
export type Part = Html | string | number | null | undefined | false | readonly Part[];

const ENTITIES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text as it may stand between tags and in a quoted attribute. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] as string);
}

function render(part: Part): string {
  if (part === null || part === undefined || part === false) return "";
  if (part instanceof Html) return part.text;
  if (typeof part === "object") return part.map(render).join("");
  return escapeHtml(String(part));
}

/**
 * A template tag. Everything put in is escaped, lists one by one; attributes must be quoted.
 *
 * ```js
 * html`<td title="${file}">${name}</td>`
 * ```
 */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  let text = strings[0] as string;
  for (const [i, part] of parts.entries()) text += render(part) + strings[i + 1];
  return new Html(text);
}

/** Data for a script: no text in it can end the element or open a comment. */
export function jsonScript(id: string, value: unknown): Html {
  const text = JSON.stringify(value).replace(/</g, "\\u003c");
  return html`<script type="application/json" id="${id}">${new Html(text)}</script>`;
}

/** Bytes for a script, read by the id: digits of base 64 are no markup. */
export function base64Script(id: string, bytes: Uint8Array): Html {
  const text = Buffer.from(bytes).toString("base64");
  return html`<script type="application/octet-stream" id="${id}">${new Html(text)}</script>
`;
}
