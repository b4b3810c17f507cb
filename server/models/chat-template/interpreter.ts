/**
 * Jinja for chat templates, which are untrusted programs: `renderJinja` counts what a template computes, bounds what it
 * writes and how long it takes. Where `@huggingface/jinja` (which @huggingface/transformers renders templates with)
 * departs from Python's Jinja in ways that change prompts, this code follows Python.
 */
import { Environment, Interpreter, type Node, type Program, parse, tokenize, type Value } from "@huggingface/jinja";
import {
  concatenated,
  pythonEquals,
  pythonLength,
  pythonText,
  type Strip,
  type stripEnds,
  stripped,
} from "./python-text.ts";
import { fixedNow, strftime } from "./strftime.ts";
import { TimeLimitError, withTimeLimit } from "./time-limit.ts";

// Types of the part of the library that is used. Its own types import files without extensions, which Node's module
// resolution does not find, so they resolve to nothing.
declare module "@huggingface/jinja" {
  /** A node of a parsed template, with the fields of the kinds that this code looks at. */
  export interface Node {
    readonly type: string;
    readonly operand?: Node;
    readonly filter?: Node;
    readonly callee?: Node;
    readonly args?: readonly Node[];
    readonly object?: Node;
    readonly property?: Node;
    readonly computed?: boolean;
    readonly operator?: Node;
    readonly left?: Node;
    readonly right?: Node;
    readonly value?: unknown;
  }
  export interface Program extends Node {
    readonly body: readonly Node[];
  }
  /** A value while a template runs, such as StringValue. */
  export interface Value {
    readonly type: string;
    readonly value: unknown;
  }
  export class Environment {
    constructor(parent?: Environment);
    /** Declares a variable with the value that stands for JavaScript's. */
    set(name: string, value: unknown): Value;
    setVariable(name: string, value: Value): Value;
  }
  export class Interpreter {
    constructor(environment: Environment);
    run(program: Program): Value;
    evaluate(node: Node | undefined, environment: Environment): Value;
  }
  export function tokenize(source: string, options: { lstrip_blocks: boolean; trim_blocks: boolean }): unknown;
  export function parse(tokens: unknown): Program;
}

/** Limits, each far above what templates in use need: they compute some thousand steps a conversation. */
const limits = {
  sourceUnits: 2 ** 18,
  steps: 2 ** 20,
  /** Of expressions in expressions, so that the stack does not overflow where the library would catch that. */
  depth: 500,
  /** Of any one text, in UTF-16 units. */
  textUnits: 2 ** 23,
  rangeItems: 2 ** 16,
  /** Of all texts that are made, and items of lists at `unitsPerItem` each. */
  madeUnits: 2 ** 27,
  timeMs: 2000,
} as const;
const unitsPerItem = 64;

/** A template exceeds one of the limits. The message says which. */
export class JinjaLimitError extends Error {}

/** A template called `raise_exception`. */
export class JinjaRefusal extends Error {}

/** Parses a template with the white-space rules of transformers. Throws `JinjaLimitError` and the parser's errors. */
export function parseJinja(source: string): Program {
  if (source.length > limits.sourceUnits)
    throw new JinjaLimitError(`it has ${source.length} characters, and at most ${limits.sourceUnits} are read`);
  const lines = source.replace(/\r\n?/g, "\n");
  return timed(() => parse(tokenize(lines, { lstrip_blocks: true, trim_blocks: true })));
}

/**
 * Renders a template with these variables. A call of `strftime_now` gives `now`, or `fixedNow` while templates see the
 * function as undefined. Throws `JinjaLimitError`, `JinjaRefusal` and the interpreter's errors.
 */
export function renderJinja(program: Program, variables: Readonly<Record<string, unknown>>, now?: Date): string {
  return timed(() => {
    const environment = new Environment();
    const globals = {
      true: true,
      false: false,
      none: null,
      True: true,
      False: false,
      None: null,
      range,
      raise_exception,
    };
    const clock = now === undefined ? {} : { [clockName]: true };
    for (const [name, value] of Object.entries({ ...globals, ...variables, ...clock })) environment.set(name, value);
    return String(new BoundedInterpreter(environment, now ?? fixedNow).run(program).value);
  });
}

function timed<T>(work: () => T): T {
  try {
    return withTimeLimit(limits.timeMs, work);
  } catch (cause) {
    if (cause instanceof TimeLimitError)
      throw new JinjaLimitError(`it took more than ${limits.timeMs / 1000} seconds`, { cause });
    if (cause instanceof RangeError)
      throw new JinjaLimitError("it is nested too deep, or its text too long", { cause });
    throw cause;
  }
}

class BoundedInterpreter extends Interpreter {
  readonly #now: Date;
  #steps = 0;
  #depth = 0;
  #madeUnits = 0;

  constructor(environment: Environment, now: Date) {
    super(environment);
    this.#now = now;
  }

  override evaluate(node: Node | undefined, environment: Environment): Value {
    this.#steps += 1;
    if (this.#steps > limits.steps) throw new JinjaLimitError(`it computes more than ${limits.steps} steps`);
    if (this.#depth >= limits.depth) throw new JinjaLimitError(`it is nested more than ${limits.depth} deep`);
    this.#depth += 1;
    const value = this.#asPython(node, environment) ?? super.evaluate(node, environment);
    this.#depth -= 1;
    if (node !== undefined && makesValues(node)) this.#count(value);
    return value;
  }

  #count({ value }: Value): void {
    if (typeof value === "string" && value.length > limits.textUnits)
      throw new JinjaLimitError(`it makes a text of more than ${limits.textUnits} characters`);
    if (typeof value === "string") this.#madeUnits += value.length;
    else if (Array.isArray(value)) this.#madeUnits += value.length * unitsPerItem;
    if (this.#madeUnits > limits.madeUnits)
      throw new JinjaLimitError(`it makes texts of more than ${limits.madeUnits} characters in all`);
  }

  /** The value of a node that the library computes otherwise than Python; undefined for other nodes. */
  #asPython(node: Node | undefined, environment: Environment): Value | undefined {
    if (node?.type === "FilterExpression") {
      const name = filterName(node.filter);
      return name && this.#filtered(name, node, environment);
    }
    if (node?.type === "CallExpression") {
      if (node.callee?.type === "Identifier" && node.callee.value === clockName) return this.#clock(node, environment);
      const method = stripMethod(node.callee);
      return method && this.#strip(method, node, environment);
    }
    return node?.type === "BinaryExpression" ? this.#binary(node, environment) : undefined;
  }

  #binary(node: Node, environment: Environment): Value | undefined {
    const compute = binaries.get(node.operator?.value);
    if (compute === undefined) return undefined;
    const left = this.evaluate(node.left, environment);
    const right = this.evaluate(node.right, environment);
    const result = compute(left, right);
    if (result !== undefined) return made(result);
    const scope = new Environment(environment);
    scope.setVariable("left", left);
    scope.setVariable("right", right);
    return super.evaluate({ ...node, left: variable("left"), right: variable("right") }, scope);
  }

  #clock({ args: [format] = [] }: Node, environment: Environment): Value {
    const { value } = this.evaluate(format, environment);
    if (typeof value !== "string") throw new Error(`${clockName} takes a format`);
    return made(strftime(this.#now, value));
  }

  #strip({ name, object }: StripMethod, node: Node, environment: Environment): Value | undefined {
    // The library evaluates the object again where it is no text: nothing else has these methods.
    const { value } = this.evaluate(object, environment);
    return typeof value === "string"
      ? made(stripped(value, name, this.#characters(node.args, environment)))
      : undefined;
  }

  #filtered(name: OwnFilter, { operand, filter }: Node, environment: Environment): Value | undefined {
    const { value } = this.evaluate(operand, environment);
    if (typeof value !== "string") return undefined;
    if (name !== "trim") return made(pythonLength(value));
    return made(stripped(value, "strip", this.#characters(filter?.args, environment)));
  }

  /** The characters that a method or filter is to strip. */
  #characters(args: readonly Node[] = [], environment: Environment): string | undefined {
    const [first] = args;
    const value = first && this.evaluate(first, environment).value;
    if (value === undefined) return undefined;
    if (typeof value !== "string") throw new Error("strip takes a text of characters");
    return value;
  }
}

/** The function by which templates ask for today's date. */
const clockName = "strftime_now";

/** A binary operator of Python's; undefined where the library's is the same. */
type Compute = (left: Value, right: Value) => boolean | string | undefined;
const binaries: ReadonlyMap<unknown, Compute> = new Map<unknown, Compute>([
  ["==", pythonEquals],
  ["!=", (left, right) => !pythonEquals(left, right)],
  ["+", concatenated],
  ["~", (left, right) => pythonText(left) + pythonText(right)],
]);

function variable(name: string): Node {
  return { type: "Identifier", value: name };
}

const ownFilters = ["trim", "length", "count"] as const;
type OwnFilter = (typeof ownFilters)[number];

function filterName(filter: Node | undefined): OwnFilter | undefined {
  const named = filter?.type === "CallExpression" ? filter.callee : filter;
  return ownFilters.find((name) => named?.type === "Identifier" && name === named.value);
}

interface StripMethod {
  readonly name: Strip;
  readonly object: Node | undefined;
}

function stripMethod(callee: Node | undefined): StripMethod | undefined {
  if (callee?.type !== "MemberExpression" || callee.computed === true) return undefined;
  const name = strips.find((strip) => strip === callee.property?.value);
  return name && { name, object: callee.object };
}

const strips = ["strip", "lstrip", "rstrip"] as const satisfies readonly (keyof typeof stripEnds)[];

/** Whether evaluating a node makes values, rather than finding those that there are. */
function makesValues({ type, property }: Node): boolean {
  if (type === "MemberExpression") return property?.type === "SliceExpression";
  return type !== "Identifier" && type !== "Ternary" && type !== "SelectExpression";
}

/** The library's value for one of JavaScript's. Its classes of values are not exported. */
function made(value: string | number | boolean): Value {
  return new Environment().set("value", value);
}

/** Python's range. */
function range(first: number, second?: number, step = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  if (step === 0) throw new Error("range() step must not be zero");
  const items = Math.max(0, Math.ceil((stop - start) / step));
  if (!(items <= limits.rangeItems))
    throw new JinjaLimitError(`it asks for a range of ${items} items, and gets at most ${limits.rangeItems}`);
  return Array.from({ length: items }, (_, at) => start + at * step);
}

function raise_exception(message: unknown): never {
  throw new JinjaRefusal(String(message));
}
