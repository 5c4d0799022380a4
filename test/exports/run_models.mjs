// Runs exported graphs in onnxruntime for JavaScript:
//
//   node test/exports/run_models.mjs node|browser FOLDER…
//
// A folder has `float/ae.onnx`, `float/en.onnx`, `images.bin` (fp32) and `shape.json`, their sizes. What
// comes out is written there: `node.ae.reconstruction.bin` and so on, fp32.

import { createReadStream, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { chromium } from "playwright-core";
import { BROWSER_ARGS, browserPath, NO_BROWSER } from "../../scripts/setup/browser.mjs";
import { examplePackages } from "../../scripts/setup/examples.mjs";

const [program, ...folders] = process.argv.slice(2);
const FILES = ["ae", "en"];

const bytesOf = (floats) => Buffer.from(floats.buffer, floats.byteOffset, floats.byteLength);

function write(folder, file, outputs) {
  for (const [name, floats] of Object.entries(outputs)) {
    writeFileSync(path.join(folder, `${program}.${file}.${name}.bin`), bytesOf(floats));
  }
}

function given(folder) {
  const bytes = readFileSync(path.join(folder, "images.bin"));
  const images = new Float32Array(
    bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
  );
  return { images, shape: JSON.parse(readFileSync(path.join(folder, "shape.json"), "utf8")) };
}

async function inNode() {
  const modules = await examplePackages("node");
  const ort = createRequire(path.join(modules, "x.js"))("onnxruntime-node");
  for (const folder of folders) {
    const { images, shape } = given(folder);
    for (const file of FILES) {
      const model = path.join(folder, "float", `${file}.onnx`);
      const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1 });
      const outputs = await session.run({ images: new ort.Tensor("float32", images, shape) });
      const floats = Object.entries(outputs).map(([name, { data }]) => [name, data]);
      write(folder, file, Object.fromEntries(floats));
      await session.release();
    }
  }
}

/** Hands out onnxruntime-web, a page that loads it, and the files of the folders. */
async function serve(modules) {
  const types = { ".mjs": "text/javascript", ".wasm": "application/wasm" };
  const server = createServer((request, response) => {
    const [, place, ...rest] = decodeURIComponent(request.url).split("/");
    const root = place === "modules" ? modules : folders[Number(place)];
    if (place === "" || root === undefined) {
      response
        .writeHead(200, { "content-type": "text/html" })
        .end("<!doctype html><title>x</title>");
      return;
    }
    const file = path.join(root, ...rest);
    response.writeHead(200, {
      "content-type": types[path.extname(file)] ?? "application/octet-stream",
    });
    createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

async function inBrowser() {
  const executablePath = browserPath();
  if (executablePath === null) throw new Error(NO_BROWSER);
  const server = await serve(await examplePackages("browser"));
  const browser = await chromium.launch({ executablePath, args: BROWSER_ARGS });
  try {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    await page.evaluate(async () => {
      const url = `${location.origin}/modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs`;
      globalThis.ort = await import(url);
      globalThis.ort.env.wasm.numThreads = 1;
    });
    for (const [i, folder] of folders.entries()) {
      const { images, shape } = given(folder);
      for (const file of FILES) {
        const outputs = await page.evaluate(
          async ({ url, images, shape }) => {
            const { ort } = globalThis;
            const bytes = new Uint8Array(await (await fetch(url)).arrayBuffer());
            const session = await ort.InferenceSession.create(bytes);
            const tensor = new ort.Tensor("float32", Float32Array.from(images), shape);
            const outputs = await session.run({ images: tensor });
            await session.release();
            return Object.entries(outputs).map(([name, { data }]) => [name, [...data]]);
          },
          { url: `/${i}/float/${file}.onnx`, images: [...images], shape },
        );
        const floats = outputs.map(([name, data]) => [name, Float32Array.from(data)]);
        write(folder, file, Object.fromEntries(floats));
      }
    }
  } finally {
    await browser.close();
    server.close();
  }
}

await (program === "node" ? inNode() : inBrowser());
