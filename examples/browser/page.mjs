/** The page: an image goes in, and what the model makes of it is shown. */
import { modelInput } from "./area_resize.mjs";
import { loadModel, loadTable, nearest } from "./model.mjs";

// From the page's folder. See README.md for how to make them.
const MODEL = "model/ae.onnx";
const TABLE = "embeddings.jsonl";
const IMAGES = "images/";
const NEIGHBOURS = 12;

const byId = (id) => document.getElementById(id);

/** An image file as RGBA bytes, upright. */
async function readImage(file) {
  // The colours as the file has them: training knows no colour profiles.
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  // Reading from a GPU may round.
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return { data: context.getImageData(0, 0, width, height).data, width, height, channels: 4 };
}

/** Draws C×H×W floats in [0, 1]. */
function drawImage(canvas, floats, [channels, height, width]) {
  const plane = width * height;
  const pixels = new ImageData(width, height);
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++) {
      pixels.data[4 * i + c] = 255 * floats[(channels === 1 ? 0 : c * plane) + i];
    }
    pixels.data[4 * i + 3] = 255;
  }
  canvas.width = width;
  canvas.height = height;
  canvas.style.setProperty("--aspect", width / height);
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

/** A bar for each number, up or down from the middle. */
function drawBars(svg, numbers) {
  const make = (name, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const most = Math.max(...numbers.map(Math.abs)) || 1;
  const bars = [...numbers].map((value, i) => {
    const height = Math.abs(value) / most;
    const y = value < 0 ? 0 : -height;
    return make("rect", {
      x: i + 0.1,
      y,
      width: 0.8,
      height,
      class: value < 0 ? "below" : "above",
    });
  });
  svg.setAttribute("viewBox", `0 -1 ${numbers.length} 2`);
  svg.replaceChildren(make("line", { x1: 0, x2: numbers.length, y1: 0, y2: 0 }), ...bars);
}

/** An entry of the list of neighbours. The picture may not be where the page can reach it. */
function neighbour(row) {
  const image = new Image();
  image.src = IMAGES + row.path.split("/").map(encodeURIComponent).join("/");
  image.alt = row.path;
  image.onload = () => {
    // Small pictures are enlarged: into squares, not into a blur.
    if (image.naturalWidth < image.width) image.style.imageRendering = "pixelated";
  };
  image.onerror = () => {
    const none = document.createElement("div");
    none.className = "none";
    image.replaceWith(none);
  };
  const name = document.createElement("b");
  name.textContent = row.class ?? row.path;
  const distance = document.createElement("small");
  distance.textContent = row.distance.toPrecision(4);
  const item = document.createElement("li");
  item.title = row.path;
  item.append(image, name, distance);
  return item;
}

const model = loadModel(MODEL);
const table = loadTable(TABLE);

async function describeModel() {
  const [channels, height, width] = (await model).shape;
  const colours = channels === 1 ? "gray levels" : "colours";
  byId("about").textContent = `The model takes ${width} × ${height} pixels in ${colours}.`;
}

async function showNeighbours(embedding) {
  const rows = await table;
  if (rows.some((row) => row.embedding.length !== embedding.length)) {
    throw new Error(`${TABLE} holds embeddings of another model`);
  }
  byId("among").textContent = `among ${rows.length} images, by Euclidean distance`;
  byId("neighbours").replaceChildren(...nearest(rows, embedding, NEIGHBOURS).map(neighbour));
}

async function show(file) {
  byId("status").textContent = "";
  const { shape, run } = await model;
  const image = await readImage(file).catch(() => {
    throw new Error(`${file.name} is no image that this browser can read`);
  });
  const input = modelInput(image, shape);
  const { embedding, reconstruction } = await run(input);
  drawImage(byId("input"), input, shape);
  drawImage(byId("reconstruction"), reconstruction, shape);
  byId("size").textContent = `from ${image.width} × ${image.height} pixels`;
  const squares = reconstruction.reduce((sum, value, i) => sum + (value - input[i]) ** 2, 0);
  byId("error").textContent = `mean squared error ${(squares / input.length).toPrecision(3)}`;
  drawBars(byId("bars"), embedding);
  byId("numbers").textContent = Array.from(embedding, (value) => value.toPrecision(7)).join(" ");
  byId("results").hidden = false;
  await showNeighbours(embedding).then(
    () => {
      byId("near").hidden = false;
    },
    (error) => {
      byId("near").hidden = true;
      byId("status").textContent = `No neighbours: ${error.message}.`;
    },
  );
}

function report(error) {
  byId("status").textContent = `${error.message}.`;
}

// One after the other: the model runs one image at a time.
let last = Promise.resolve();
function take(file) {
  if (file !== undefined) last = last.then(() => show(file)).catch(report);
}

byId("file").addEventListener("change", ({ target }) => take(target.files[0]));
byId("copy").addEventListener("click", () =>
  navigator.clipboard.writeText(byId("numbers").textContent),
);
// A drop beside the field would leave the page for the image.
for (const name of ["dragover", "dragleave", "drop"]) {
  addEventListener(name, (event) => {
    event.preventDefault();
    byId("drop").classList.toggle("over", name === "dragover");
    if (name === "drop") take(event.dataTransfer.files[0]);
  });
}

table.catch(() => {
  // Said where neighbours would be shown.
});
describeModel().catch((error) => {
  byId("about").textContent = "There is no model yet: see README.md.";
  report(error);
});
