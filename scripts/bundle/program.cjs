// Loaded before any program of the bundle: Node takes the loader that started it for itself, and
// what starts a second Node would start that.
const { join } = require("node:path");

process.execPath = join(__dirname, "..", "bin", "node");
