import { describe, expect, it } from "vitest";
import { html, jsonScript } from "../../ts/pages/html.ts";

const NASTY = "<img src=x onerror=alert(1)>.png";

describe("html", () => {
  it("escapes what is put in, between tags and in attributes", () => {
    expect(html`<b title="${`"'&${NASTY}`}">${NASTY}</b>`.text).toBe(
      '<b title="&quot;&#39;&amp;&lt;img src=x onerror=alert(1)&gt;.png">' +
        "&lt;img src=x onerror=alert(1)&gt;.png</b>",
    );
  });

  it("takes other templates and lists of them, and leaves out what is not there", () => {
    const items = ["a<", "b"].map((name) => html`<li>${name}</li>`);
    expect(html`<ul>${items}${null}${undefined}${false}${0}</ul>`.text).toBe(
      "<ul><li>a&lt;</li><li>b</li>0</ul>",
    );
  });

  it("puts data into scripts that no text in it can end", () => {
    const value = { name: `</script><!--${NASTY}` };
    const { text } = jsonScript("data", value);
    const inner = text.slice(text.indexOf(">") + 1, text.lastIndexOf("</script>"));
    expect(inner).not.toContain("<");
    expect(JSON.parse(inner)).toEqual(value);
  });
});
