/** Where data come from: the page itself, or its server. */

/** What is asked for beyond the page. */
export interface Source {
  data(): Promise<ArrayBuffer>;
  /** Sizes and an image file; see `ts/explore/wire.ts`. */
  sheet(index: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Rows, the nearest first; null where the data have them. */
  neighbours(row: number): Promise<number[]> | null;
  /** Address of an image in a larger size; null where there is none. */
  imageUrl(row: number): string | null;
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** The page has everything. Sheets lie behind the script, and may not be there yet. */
class PageSource implements Source {
  #isWhole: Promise<void> | undefined;

  async data(): Promise<ArrayBuffer> {
    const element = document.getElementById("data") as HTMLElement;
    const packed = new Blob([fromBase64(element.textContent)]);
    element.remove();
    const stream = packed.stream().pipeThrough(new DecompressionStream("gzip"));
    return await new Response(stream).arrayBuffer();
  }

  async sheet(index: number): Promise<Uint8Array<ArrayBuffer>> {
    const id = `sheet-${index}`;
    if (document.getElementById(id)?.nextSibling == null && document.readyState === "loading") {
      this.#isWhole ??= new Promise((done) =>
        document.addEventListener("DOMContentLoaded", () => done(), { once: true }),
      );
      await this.#isWhole;
    }
    return fromBase64(document.getElementById(id)?.textContent ?? "");
  }

  neighbours(): null {
    return null;
  }

  imageUrl(): null {
    return null;
  }
}

async function ask(path: string): Promise<Response> {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${(await response.text()).trim()}`);
  return response;
}

/** The server that the page came from. */
class ServerSource implements Source {
  async data(): Promise<ArrayBuffer> {
    return await (await ask("/data")).arrayBuffer();
  }

  async sheet(index: number): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(await (await ask(`/sheet/${index}`)).arrayBuffer());
  }

  async neighbours(row: number): Promise<number[]> {
    return (await (await ask(`/neighbours/${row}`)).json()) as number[];
  }

  imageUrl(row: number): string {
    return `/image/${row}`;
  }
}

/** The one that the page says. */
export function openSource(): Source {
  const { source } = (document.getElementById("source") as HTMLElement).dataset;
  return source === "server" ? new ServerSource() : new PageSource();
}
