/** Begins: reads what is explored, and draws it. */
import "../theme.css";
import "./style.css";
import { byId } from "../elements.ts";
import { Data } from "./data.ts";
import { Explorer } from "./explorer.ts";
import { openSource } from "./source.ts";

async function begin(): Promise<void> {
  const source = openSource();
  const data = new Data(await source.data());
  await new Explorer(data, source).begin();
  // For whoever measures: from now on the page does what it is told.
  performance.mark("ready");
  document.documentElement.dataset.ready = "true";
}

begin().catch((error: unknown) => {
  byId("state").textContent = `The images cannot be shown: ${(error as Error).message}`;
});
