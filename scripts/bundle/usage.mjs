// The text at the top of a bundle.

/** @param {string[]} versions of libtorch, as 2.13 */
export function usage(versions) {
  return `flexible-autoencoder, with all that it needs but a libtorch.

Needs a Linux kernel, and PyTorch or libtorch ${versions.join(", ")}. Nothing is installed.

  export LIBTORCH=$(python3 -c 'import os, torch; print(os.path.dirname(torch.__file__))')
  bin/flexae doctor
  bin/flexae run --help

LIBTORCH is the \`torch\` folder of a Python, or an unpacked libtorch; with a CUDA build, training
runs on the GPU. Without one, \`bin/flexae-setup\` fetches a libtorch, by pip or from its official
archive, and notes it in this folder.

The C library of the system is used if it is new enough, else the one in lib/glibc.
bin/node is the Node in here: for programs of your own that import app/dist/index.js.
app/README.md says what the program does. LICENSES/ has the licences of all of it.
`;
}
