/**
 * Tensors that lie in memory otherwise than a kernel reads them. Those larger than an adapter's maximum binding (2 GiB
 * on NVIDIA) are bound as several consecutive windows, and each access selects its window by index. Those held as F16
 * or BF16 are widened at each read. The arithmetic and its order do not change, so results are bit-identical. Any
 * kernel can be rewritten so, since all of them address memory by element index; the only limit is the adapter's
 * maximum number of bindings.
 */
import { type Binding, defineKernel, type ElementType, type Kernel } from "./wgsl.ts";
import { type NarrowFloat, narrowReadText, narrowTypeOf, wideningText } from "./widen.ts";

/** How one binding's tensor lies in memory. */
export interface Windows {
  readonly count: number;
  /** Bytes of each window but the last; a multiple of 16. */
  readonly bytes: number;
  /** The form of the tensor's values where that is not the kernel's. */
  readonly stored?: NarrowFloat | undefined;
}

/** A kernel that cannot be rewritten: a bug in its text. */
export class WindowError extends TypeError {}

/** The kernel with windows, in order, in place of each named binding, and its reads widened where values are narrow. */
export function windowedKernel(kernel: Kernel, windows: ReadonlyMap<string, Windows>): Kernel {
  const { source, bindings } = kernel;
  const cut = bindings.flatMap((binding) => {
    const own = windows.get(binding.name);
    return own === undefined || isPlain(own) ? [] : [{ binding, own }];
  });
  if (cut.length === 0) return kernel;
  const names = new Set(cut.map(({ binding }) => binding.name));
  const rewrite = (text: string): string => rewriteAccesses(text, names, kernel.name);
  const accessors = cut.map(({ binding, own }) => accessorText(binding, own)).join("\n");
  return defineKernel({
    ...source,
    bindings: bindings.flatMap((binding) => windowBindings(binding, windows.get(binding.name))),
    declarations: `${wideningText(cut.map(({ own }) => own.stored))}${accessors}\n${rewrite(source.declarations ?? "")}`,
    body: rewrite(source.body),
  });
}

function windowBindings(binding: Binding, own: Windows | undefined): Binding[] {
  if (own === undefined || isPlain(own)) return [binding];
  const type = heldType(binding, own);
  return Array.from({ length: own.count }, (_, at) => ({ ...binding, type, name: windowName(binding.name, at) }));
}

const isPlain = ({ count, stored }: Windows): boolean => count === 1 && stored === undefined;

/** The type of what the binding's windows hold. */
function heldType({ name, type, access }: Binding, { stored }: Windows): ElementType {
  if (stored === undefined) return type;
  const narrow = narrowTypeOf(type);
  if (narrow !== undefined && access === "read") return narrow;
  throw new WindowError(`'${name}', of ${type} to ${access}, cannot be bound as ${stored}`);
}

const windowName = (name: string, at: number): string => `${name}Window${at}`;

/** Bytes per element; undefined for types that cannot be windowed. */
const elementBytes: { readonly [K in ElementType]: number | undefined } = {
  f32: 4,
  i32: 4,
  u32: 4,
  f16: 2,
  vec2f: 8,
  vec2u: 8,
  vec4f: 16,
  // Atomics are accessed through pointers.
  "atomic<u32>": undefined,
};

/** Generates `NAMEAt(place)`, and for writable bindings `NAMEPut(place, value)`. */
function accessorText(binding: Binding, own: Windows): string {
  const { name, type, access } = binding;
  const { count, bytes, stored } = own;
  const held = heldType(binding, own);
  const each = elementBytes[held];
  if (each === undefined) throw new WindowError(`atomics cannot be bound in windows: '${name}'`);
  const start = (window: number): number => (window * bytes) / each;
  const place = (window: number): string => (window === 0 ? "place" : `place - ${start(window)}u`);
  const element = (window: number): string => `${windowName(name, window)}[${place(window)}]`;
  const inEach = (write: (window: number) => string): string =>
    Array.from({ length: count }, (_, window) =>
      window === count - 1 ? `  ${write(window)}` : `  if (place < ${start(window + 1)}u) { ${write(window)} }`,
    ).join("\n");
  const reader = stored === undefined ? `${name}At` : `${name}Bits`;
  const read = `fn ${reader}(place: u32) -> ${held} {\n${inEach((window) => `return ${element(window)};`)}\n}`;
  if (stored !== undefined)
    return `${read}\nfn ${name}At(place: u32) -> ${type} {\n${narrowReadText(type, reader, stored)}\n}`;
  if (access === "read") return read;
  const last = count - 1;
  const put = inEach((window) => `${element(window)} = value;${window === last ? "" : " return;"}`);
  return `${read}\nfn ${name}Put(place: u32, value: ${type}) {\n${put}\n}`;
}

/** `x[place]` becomes `xAt(place)`, and `x[place] = value` or `+= value` becomes `xPut(place, ...)`. */
function rewriteAccesses(text: string, names: ReadonlySet<string>, kernel: string): string {
  // An ampersand after a name or a bracket is an operator.
  const access = new RegExp(`(?<![\\w.])((?<=[(,=]\\s*)&\\s*)?(${[...names].join("|")})\\b(\\s*\\[)?`);
  let rest = text;
  let written = "";
  for (;;) {
    const found = access.exec(rest);
    if (found === null) return written + rest;
    const [whole, pointer, name = "", bracket] = found;
    if (pointer !== undefined) throw new WindowError(`kernel '${kernel}' takes the address of '${name}'`);
    written += rest.slice(0, found.index);
    rest = rest.slice(found.index + whole.length);
    if (bracket === undefined) {
      // A local variable of the same name.
      written += whole;
      continue;
    }
    const end = closingBracket(rest);
    const place = rewriteAccesses(rest.slice(0, end), names, kernel);
    rest = rest.slice(end + 1);
    if (/^\s*(\.\w+|\[[^\]]*\])+\s*\+?=(?!=)/.test(rest))
      throw new WindowError(`kernel '${kernel}' writes a part of an element of '${name}'`);
    const assignment = /^\s*(\+)?=(?!=)\s*/.exec(rest);
    if (assignment === null) {
      written += `${name}At(${place})`;
      continue;
    }
    rest = rest.slice(assignment[0].length);
    const semicolon = rest.indexOf(";");
    const value = rewriteAccesses(rest.slice(0, semicolon), names, kernel);
    written += `${name}Put(${place}, ${assignment[1] === undefined ? value : `${name}At(${place}) + (${value})`})`;
    rest = rest.slice(semicolon);
  }
}

/** The index in `text` of the bracket that closes one opened before it. */
function closingBracket(text: string): number {
  let open = 1;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === "[") open += 1;
    if (text[at] === "]") open -= 1;
    if (open === 0) return at;
  }
  throw new WindowError("a bracket stays open");
}
