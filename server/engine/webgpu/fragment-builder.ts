import { type FunctionName, functionsText } from "../../../kernels/math.ts";
import { type Fragment, infinityDeclaration } from "../../../kernels/wgsl.ts";
import { type Node, type Shape, sizeOf } from "../graph.ts";
import type { Value } from "./values.ts";

/** An element's place in a tensor: row-major index, coordinates, or both. The missing form is computed on demand. */
export interface Place {
  readonly shape: Shape;
  linear: string | undefined;
  coordinates: readonly string[] | undefined;
}

/** A builder's access to the nodes that its fragment reads. */
export interface Sources {
  /** Emits a node's expression at a place into the builder; undefined when the node is to be read from memory. */
  inline(node: Node, place: Place, builder: FragmentBuilder): string | undefined;
  valueOf(node: Node): Value;
}

/** Generates the code that computes one element of a node, down to its reads from memory. */
export class FragmentBuilder {
  readonly #sources: Sources;
  readonly #statements: string[] = [];
  readonly #leaves = new Map<Value, string>();
  readonly #functions = new Set<FunctionName>();
  readonly #known = new Map<Node, Map<string, string>>();
  readonly #extents: number[] = [];
  readonly #mostExtents: number;
  #next = 0;

  /** `mostExtents`: maximum number of extents passed as parameters; further ones become literals in the text. */
  constructor(sources: Sources, mostExtents: number) {
    this.#sources = sources;
    this.#mostExtents = mostExtents;
  }

  /** The values that the fragment binds, in its bindings' order. */
  get values(): Value[] {
    return [...this.#leaves.keys()];
  }

  /** The fragment for a node at the row-major index `at`. */
  build(node: Node, at = "at"): Fragment {
    const result = this.load(node, { shape: node.shape, linear: at, coordinates: undefined });
    const text = this.#statements.join("\n");
    const needsInfinity = `${text}${result}`.includes("bitsOfInfinity");
    return {
      bindings: [...this.#leaves].map(([value, name]) => ({ name, type: value.dtype, access: "read" })),
      declarations: `${functionsText(this.#functions)}\n${needsInfinity ? infinityDeclaration : ""}`,
      statements: text,
      result,
      extents: this.#extents,
    };
  }

  /** The name of a node's element at a place. */
  load(node: Node, place: Place): string {
    const key = place.linear ?? place.coordinates?.join(",") ?? "";
    const known = this.#known.get(node)?.get(key);
    if (known !== undefined) return known;
    const inlined = this.#sources.inline(node, place, this);
    const name =
      inlined === undefined ? this.read(this.#sources.valueOf(node), this.linear(place)) : this.name(inlined);
    const names = this.#known.get(node) ?? new Map<string, string>();
    this.#known.set(node, names.set(key, name));
    return name;
  }

  /** An element of a value in memory. */
  read(value: Value, linear: string): string {
    const binding = this.#leaves.get(value) ?? `x${this.#leaves.size}`;
    this.#leaves.set(value, binding);
    return this.name(`${binding}[${linear}]`);
  }

  /** Assigns an expression to a variable and returns its name; names and literals are returned as they are. */
  name(expression: string): string {
    if (/^(?!p\.)[\w.-]+$/.test(expression)) return expression;
    const name = `t${this.#next}`;
    this.#next += 1;
    this.#statements.push(`  let ${name} = ${expression};`);
    return name;
  }

  /** An extent of the graph's shapes, as code. */
  extent(value: number): string {
    if (value <= 1) return `${value}u`;
    const known = this.#extents.indexOf(value);
    if (known < 0 && this.#extents.length >= this.#mostExtents) return `${value}u`;
    if (known < 0) this.#extents.push(value);
    return `p.n${known < 0 ? this.#extents.length - 1 : known}`;
  }

  use(name: FunctionName): void {
    this.#functions.add(name);
  }

  linear(place: Place): string {
    if (place.linear !== undefined) return place.linear;
    const coordinates = place.coordinates ?? [];
    const terms = coordinates.flatMap((coordinate, axis) => {
      const stride = sizeOf(place.shape.slice(axis + 1));
      if (coordinate === "0u") return [];
      return [stride === 1 ? coordinate : `${coordinate} * ${this.extent(stride)}`];
    });
    place.linear = terms.length === 0 ? "0u" : this.name(terms.join(" + "));
    return place.linear;
  }

  coordinates(place: Place): readonly string[] {
    if (place.coordinates !== undefined) return place.coordinates;
    const coordinates: string[] = [];
    let rest = place.linear ?? "0u";
    const last = place.shape.findIndex((extent) => extent !== 1);
    for (let axis = place.shape.length - 1; axis >= 0; axis--) {
      const extent = place.shape[axis] ?? 1;
      if (extent === 1) coordinates.unshift("0u");
      else if (axis === last) coordinates.unshift(rest);
      else {
        coordinates.unshift(this.name(`${rest} % ${this.extent(extent)}`));
        rest = this.name(`${rest} / ${this.extent(extent)}`);
      }
    }
    place.coordinates = coordinates;
    return coordinates;
  }

  /** The place in an operand that broadcasts to `place`'s shape. */
  broadcast(place: Place, shape: Shape): Place {
    if (shape.length === place.shape.length && shape.every((extent, axis) => extent === place.shape[axis]))
      return place;
    if (sizeOf(shape) === 1) return { shape, linear: "0u", coordinates: undefined };
    const own = this.coordinates(place).slice(place.shape.length - shape.length);
    return {
      shape,
      linear: undefined,
      coordinates: own.map((coordinate, axis) => (shape[axis] === 1 ? "0u" : coordinate)),
    };
  }
}
