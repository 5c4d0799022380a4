/** Resizing inside an ONNX graph, as training resizes (`native/data/resize.cpp`, by OpenCV). */
import { type GraphBuilder, int, ints } from "./onnx_builder.js";
import { DATA_TYPES } from "./onnx_schema.js";

/** Begins the names of all that is added here. */
export const RESIZE = "resize";
/** Of the last operation: N×C×rows×columns. */
export const RESIZED = `${RESIZE}.resized`;

/** One axis of an image: rows or columns. */
interface Axis {
  name: string;
  /** Its size, which the graph finds: the name of a scalar. */
  from: string;
  /** Its size in the model. */
  to: number;
}

/** OpenCV's linear weights are integers of 11 bits. */
const WEIGHT_ONE = 2048;
/** What is divided by behind the columns, behind the rows, and in the end, where the 2 rounds. */
const [CUT_COLUMNS, CUT_ROWS, ROUNDING, CUT_SUM] = [16, 65536, 2, 4];

class Resizer {
  constructor(readonly graph: GraphBuilder) {}

  node(name: string, opType: string, input: string[], attributes = {}): string {
    return this.graph.node(`${RESIZE}.${name}`, opType, input, attributes);
  }

  toInt32(name: string, input: string): string {
    return this.node(name, "Cast", [input], { to: int(DATA_TYPES.int32) });
  }

  toFloat(name: string, input: string): string {
    return this.node(name, "Cast", [input], { to: int(DATA_TYPES.float) });
  }

  integer(value: number): string {
    return this.graph.integer(value);
  }

  int32(value: number): string {
    return this.graph.integer(value, DATA_TYPES.int32);
  }

  /** 0, 1, … below `count`, as a line. */
  line(name: string, count: string): string {
    return this.node(name, "Range", [this.integer(0), count, this.integer(1)]);
  }

  /** A line turned into a column. */
  column(name: string, line: string): string {
    const axes = this.graph.vector(`${RESIZE}.second`, [1]);
    return this.node(name, "Unsqueeze", [line, axes]);
  }

  axis(name: string, dimension: number, to: number): Axis {
    const shape = this.node(`${name}.shape`, "Shape", ["images"]);
    const from = this.node(`${name}.size`, "Gather", [shape, this.integer(dimension)]);
    return { name, from, to };
  }

  /** 1, 3, 5, …: twice the centres of the new pixels. */
  centres({ name, to }: Axis): string {
    const odd = Array.from({ length: to }, (_, i) => 2 * i + 1);
    return this.graph.vector(`${RESIZE}.${name}.centres`, odd);
  }

  /**
   * What each of `to` pixels takes of `from` pixels, to×from floats: the share of each under it.
   * Lengths are integers, in parts of a pixel, so that nothing is rounded before the division.
   */
  area(name: string, from: string, to: string): string {
    const at = (part: string) => `${name}.${part}`;
    const pixel = this.column(at("column"), this.line(at("index"), to));
    const begin = this.node(at("begin"), "Mul", [pixel, from]);
    const end = this.node(at("end"), "Add", [begin, from]);
    const left = this.node(at("left"), "Mul", [this.line(at("pixels"), from), to]);
    const right = this.node(at("right"), "Add", [left, to]);
    const last = this.node(at("last"), "Min", [end, right]);
    const first = this.node(at("first"), "Max", [begin, left]);
    const length = this.node(at("length"), "Sub", [last, first]);
    const overlap = this.node(at("overlap"), "Max", [length, this.integer(0)]);
    const parts = this.toFloat(at("parts"), overlap);
    return this.node(at("shares"), "Div", [parts, this.toFloat(at("whole"), from)]);
  }

  /**
   * The two pixels whose centres are nearest to each new one, and their weights, of 2048. Beyond
   * the outermost centre both are the outermost pixel.
   */
  neighbours(axis: Axis, from: string): { pixels: string; weights: string }[] {
    const at = (part: string) => `${axis.name}.linear.${part}`;
    const float = (value: number) => this.graph.scalar(value);
    // In parts of a pixel, of which it has 2·to, from the centre of one in front of the first.
    const whole = this.integer(2 * axis.to);
    const scaled = this.node(at("scaled"), "Mul", [this.centres(axis), from]);
    const centre = this.node(at("centre"), "Add", [scaled, this.integer(axis.to)]);
    const behind = this.node(at("behind"), "Div", [centre, whole]);
    const begin = this.node(at("begin"), "Mul", [behind, whole]);
    const rest = this.toFloat(at("rest"), this.node(at("parts"), "Sub", [centre, begin]));
    const share = this.node(at("share"), "Div", [rest, float(2 * axis.to)]);
    const large = this.node(at("large"), "Mul", [share, float(WEIGHT_ONE)]);
    const second = this.toInt32(at("second.weight"), this.node(at("rounded"), "Round", [large]));
    const first = this.node(at("first.weight"), "Sub", [this.int32(WEIGHT_ONE), second]);
    const before = this.node(at("before"), "Sub", [behind, this.integer(1)]);
    const last = this.node(at("last"), "Sub", [from, this.integer(1)]);
    return [
      { pixels: this.node(at("first"), "Max", [before, this.integer(0)]), weights: first },
      { pixels: this.node(at("second"), "Min", [behind, last]), weights: second },
    ];
  }

  transposed(name: string, matrix: string): string {
    return this.node(name, "Transpose", [matrix], { perm: ints([1, 0]) });
  }

  /** N×H×W×C bytes as N×C×H×W floats. */
  levels(images: string): string {
    const levels = this.toFloat("levels", images);
    return this.node("planes", "Transpose", [levels], { perm: ints([0, 3, 1, 2]) });
  }

  /** Means over areas, along axes that shrink, rounded. Gives the sizes that are left, too. */
  shrink(levels: string, rows: Axis, columns: Axis): { levels: string; sizes: [string, string] } {
    const [height, width] = [rows, columns].map(({ name, from, to }) =>
      this.node(`${name}.shrunk`, "Min", [from, this.integer(to)]),
    ) as [string, string];
    const across = this.transposed("columns.across", this.area("columns", columns.from, width));
    const down = this.area("rows", rows.from, height);
    const short = this.node("area.rows", "MatMul", [down, levels]);
    const small = this.node("area.columns", "MatMul", [short, across]);
    // OpenCV rounds halves to even, but of four pixels each up.
    const halved = [rows, columns].map(({ name, from, to }) =>
      this.node(`${name}.is_halved`, "Equal", [from, this.integer(2 * to)]),
    );
    const areFour = this.toFloat("four", this.node("are_four", "And", halved));
    const up = this.node("up", "Mul", [areFour, this.graph.scalar(0.125)]);
    const rounded = this.node("area", "Round", [this.node("area.up", "Add", [small, up])]);
    return { levels: rounded, sizes: [height, width] };
  }

  /** Between pixels, to the model's size, in integers as OpenCV does it. */
  interpolate(levels: string, rows: Axis, columns: Axis, [height, width]: [string, string]): void {
    const bytes = this.toInt32("linear.levels", levels);
    const [left, right] = this.neighbours(columns, width).map(({ pixels, weights }, i) => {
      const taken = this.node(`linear.columns.${i}.taken`, "Gather", [bytes, pixels], {
        axis: int(3),
      });
      return this.node(`linear.columns.${i}`, "Mul", [taken, weights]);
    }) as [string, string];
    const wide = this.node("linear.columns.sum", "Add", [left, right]);
    const lines = this.node("linear.columns", "Div", [wide, this.int32(CUT_COLUMNS)]);
    const [above, below] = this.neighbours(rows, height).map(({ pixels, weights }, i) => {
      const taken = this.node(`linear.rows.${i}.taken`, "Gather", [lines, pixels], {
        axis: int(2),
      });
      const down = this.column(`linear.rows.${i}.weights`, weights);
      const weighted = this.node(`linear.rows.${i}.weighted`, "Mul", [taken, down]);
      return this.node(`linear.rows.${i}`, "Div", [weighted, this.int32(CUT_ROWS)]);
    }) as [string, string];
    const sum = this.node("linear.rows", "Add", [above, below]);
    const rounding = this.node("linear.rounding", "Add", [sum, this.int32(ROUNDING)]);
    const whole = this.node("linear.whole", "Div", [rounding, this.int32(CUT_SUM)]);
    this.graph.current = this.toFloat("resized", whole);
  }

  /** The pixels under the new centres. */
  nearest(rows: Axis, columns: Axis): void {
    let images = "images";
    for (const [i, axis] of [rows, columns].entries()) {
      const { name, from, to } = axis;
      const scaled = this.node(`${name}.scaled`, "Mul", [this.centres(axis), from]);
      const index = this.node(`${name}.index`, "Div", [scaled, this.integer(2 * to)]);
      images = this.node(`${name}.taken`, "Gather", [images, index], { axis: int(1 + i) });
    }
    const levels = this.toFloat("levels", images);
    this.graph.current = this.node("resized", "Transpose", [levels], { perm: ints([0, 3, 1, 2]) });
  }
}

/**
 * Adds the resizing of `images`, N×H×W×C bytes of any size, to a model's N×C×rows×columns: whole
 * levels from 0 to 255, as floats.
 *
 * @param interpolation - As in training: `area`, `bilinear` or `nearest`.
 */
export function addResize(
  graph: GraphBuilder,
  interpolation: string,
  [rows, columns]: readonly [number, number],
): void {
  const resizer = new Resizer(graph);
  const axes = [resizer.axis("rows", 1, rows), resizer.axis("columns", 2, columns)] as const;
  if (interpolation === "nearest") {
    resizer.nearest(...axes);
  } else if (interpolation === "area") {
    const { levels, sizes } = resizer.shrink(resizer.levels("images"), ...axes);
    resizer.interpolate(levels, ...axes, sizes);
  } else if (interpolation === "bilinear") {
    resizer.interpolate(resizer.levels("images"), ...axes, [axes[0].from, axes[1].from]);
  } else {
    throw new Error(`no ONNX operations are known for the resizing ${interpolation}`);
  }
}
