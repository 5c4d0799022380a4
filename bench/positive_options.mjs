// Options of benchmarks that count something.

/** Those options' values as integers of at least 1; says which is none, and ends the process. */
export function positiveOptions(values, names) {
  return names.map((name) => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < 1) {
      process.stderr.write(`Expected an integer of at least 1 for --${name}\n`);
      process.exit(2);
    }
    return value;
  });
}
