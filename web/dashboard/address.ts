/** What the page's address remembers behind `#`, so that a reload or a link shows the same. */

/** What is looked at. Runs go by their names: their ids are another server's with the next start. */
export interface Looked {
  run: string | null;
  compared: string[];
  view: "run" | "compare";
  filter: string;
}

const TOKEN = "flexae-token";

/** The part behind `#`, in which `+` is a plus: names are anybody's. */
const read = () => new URLSearchParams(location.hash.slice(1).replaceAll("+", "%2B"));

function write(fields: URLSearchParams): void {
  const text = fields.toString().replaceAll("+", "%20");
  // Not pushed: whoever goes back wants the page before this one.
  history.replaceState(null, "", text === "" ? location.pathname : `#${text}`);
}

/** Whether the address brings a token. */
export const hasToken = (): boolean => read().has("token");

/** The token by which runs may be stopped; null without one. It does not stay in the address. */
export function takeToken(): string | null {
  const fields = read();
  const given = fields.get("token");
  if (given !== null) {
    fields.delete("token");
    write(fields);
  }
  try {
    if (given !== null) sessionStorage.setItem(TOKEN, given);
    return sessionStorage.getItem(TOKEN);
  } catch {
    // Some forbid a page to keep anything: then it is forgotten with the page.
    return given;
  }
}

/** What the address says. */
export function readAddress(): Looked {
  const fields = read();
  return {
    run: fields.get("run"),
    compared: fields.getAll("compare"),
    view: fields.get("view") === "compare" ? "compare" : "run",
    filter: fields.get("filter") ?? "",
  };
}

/** Says it in the address. */
export function writeAddress({ run, compared, view, filter }: Looked): void {
  const fields = new URLSearchParams();
  if (run !== null) fields.set("run", run);
  for (const name of compared) fields.append("compare", name);
  if (view === "compare") fields.set("view", view);
  if (filter !== "") fields.set("filter", filter);
  write(fields);
}
