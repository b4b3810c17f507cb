/** Representation of kernels: WGSL text and bindings; and of their launches: parameters, grid and estimated work. */

export type ElementType = "f32" | "i32" | "u32" | "f16" | "vec4f" | "vec2f" | "vec2u" | "atomic<u32>";

export interface Binding {
  readonly name: string;
  readonly type: ElementType;
  readonly access: "read" | "read_write";
}

/**
 * A compute shader. Kernels of equal text share a pipeline, so varying extents are parameters, not part of the text.
 */
export interface Kernel {
  readonly name: string;
  readonly code: string;
  readonly bindings: readonly Binding[];
  /** The u32 or f32 parameters that a launch passes, in order. */
  readonly params: readonly Param[];
  /** The source of the text, from which variants are made (windows.ts). */
  readonly source: KernelSource;
}

export interface Param {
  readonly name: string;
  readonly type: "u32" | "f32";
}

/** One use of a kernel: its parameters and its grid of workgroups. */
export interface Launch {
  readonly kernel: Kernel;
  readonly params: readonly number[];
  readonly grid: Grid;
  /** Multiplications and additions, where they outweigh memory traffic (slices.ts). */
  readonly operations?: number;
}

export type Grid = readonly [x: number, y: number, z: number];

export interface KernelSource {
  readonly name: string;
  readonly bindings: readonly Binding[];
  readonly params?: readonly Param[];
  /** Invocations per workgroup. */
  readonly size: number;
  /** Module-scope declarations and functions. */
  readonly declarations?: string;
  /** Statements of the entry point; in scope are `group` (of a folded grid), `lane`, `wg` and, with parameters, `p`. */
  readonly body: string;
  readonly enables?: readonly string[];
  /** More built-in values of the entry point, such as `@builtin(subgroup_id) subgroup: u32`. */
  readonly builtins?: readonly string[];
  /** More attributes of the entry point, such as `@subgroup_size(32)`. */
  readonly attributes?: readonly string[];
  /** Adds a last parameter: the first group of the whole grid that the launch computes (slices.ts). */
  readonly sliced?: boolean;
}

/** Maximum workgroups along one axis that every implementation of WebGPU allows. */
export const maxWorkgroupsPerAxis = 65_535;
/**
 * Maximum number of a kernel's parameters: Dawn passes 64 bytes with a launch, four of them reserved for a slice's
 * start.
 */
export const maxParams = 15;

/** Generates a kernel's text. Bindings are in group 0, in their order. */
export function defineKernel(source: KernelSource): Kernel {
  const {
    name,
    bindings,
    params: own = [],
    size,
    declarations = "",
    body,
    enables = [],
    builtins = [],
    attributes = [],
    sliced = false,
  } = source;
  if (own.length > maxParams) throw new RangeError(`kernel ${name} has ${own.length} parameters, not ${maxParams}`);
  const params: readonly Param[] = sliced ? [...own, { name: "firstGroup", type: "u32" }] : own;
  const inputs = [
    "@builtin(workgroup_id) wg: vec3u",
    "@builtin(num_workgroups) wgs: vec3u",
    "@builtin(local_invocation_index) lane: u32",
    ...builtins,
  ];
  const lines = [
    ...enables.map((feature) => `enable ${feature};`),
    ...bindings.map(
      (binding, at) =>
        `@group(0) @binding(${at}) var<storage, ${binding.access}> ${binding.name}: array<${wgslType(binding.type)}>;`,
    ),
    ...(params.length === 0
      ? []
      : [
          `struct Params { ${params.map((param) => `${param.name}: ${param.type}`).join(", ")} }`,
          "var<immediate> p: Params;",
        ]),
    declarations,
    ["@compute", `@workgroup_size(${size})`, ...attributes].join(" "),
    `fn main(${inputs.join(", ")}) {`,
    `  let group = wg.x + wg.y * wgs.x${sliced ? " + p.firstGroup" : ""};`,
    body,
    "}",
  ];
  return { name, code: lines.filter((line) => line !== "").join("\n"), bindings, params, source };
}

/** A grid of `count` workgroups, folded into two axes if one is too short; a kernel must skip excess groups. */
export function foldedGrid(count: number, axis = maxWorkgroupsPerAxis): Grid {
  if (count <= axis) return [count, 1, 1];
  const y = Math.ceil(count / axis);
  return [Math.ceil(count / y), y, 1];
}

/** A number as WGSL f32 text. Infinities and NaN come from bits, which constant expressions cannot contain. */
export function literal(value: number): string {
  const rounded = Math.fround(value);
  if (Number.isFinite(rounded)) return Object.is(rounded, -0) ? "-0.0f" : `${rounded}f`;
  if (Number.isNaN(rounded)) return "bitcast<f32>(bitsOfInfinity + 1u)";
  return rounded > 0 ? "bitcast<f32>(bitsOfInfinity)" : "-bitcast<f32>(bitsOfInfinity)";
}

/** Declaration that `literal`'s text for an infinity or NaN needs. */
export const infinityDeclaration = "var<private> bitsOfInfinity: u32 = 0x7f800000u;";

/**
 * A tree reduction over a workgroup's lanes. `name(value, lane)` returns the result to every lane; all must take
 * part.
 */
export function workgroupReduction(name: string, type: "f32" | "u32", size: number, combine: string): string {
  return `
var<workgroup> ${name}Lanes: array<${type}, ${size}>;
fn ${name}(value: ${type}, lane: u32) -> ${type} {
  ${name}Lanes[lane] = value;
  workgroupBarrier();
  for (var half = ${size / 2}u; half > 0u; half >>= 1u) {
    if (lane < half) {
      let a = ${name}Lanes[lane];
      let b = ${name}Lanes[lane + half];
      ${name}Lanes[lane] = ${combine};
    }
    workgroupBarrier();
  }
  return workgroupUniformLoad(&${name}Lanes[0]);
}`;
}

export const sumAll = (size: number): string => workgroupReduction("sumAll", "f32", size, "a + b");
export const maxAll = (size: number): string => workgroupReduction("maxAll", "f32", size, "max(a, b)");

/** Lanes for a row of that many columns: a power of two. Few sizes, so that few pipelines are compiled. */
export function lanesFor(columns: number): number {
  return columns <= 128 ? 32 : 256;
}

/** Lowest finite f32: the initial value of a maximum. */
export const lowest = "-3.4028234e38f";

const wgslTypes: { readonly [K in ElementType]?: string } = {
  vec4f: "vec4<f32>",
  vec2f: "vec2<f32>",
  vec2u: "vec2<u32>",
};

function wgslType(type: ElementType): string {
  return wgslTypes[type] ?? type;
}

/**
 * Generated code to insert into a kernel: extra bindings, and a result expression with the statements that it needs.
 */
export interface Fragment {
  readonly bindings: readonly Binding[];
  readonly declarations: string;
  readonly statements: string;
  readonly result: string;
  /**
   * Extents, p.n0, p.n1, ... in its text: parameters of the kernel, so that tensors of other extents share the text.
   */
  readonly extents?: readonly number[];
}

/** The parameters that a fragment's extents are passed as. */
export function extentParams({ extents = [] }: Fragment): Param[] {
  return extents.map((_, at) => ({ name: `n${at}`, type: "u32" }));
}

/** The identity fragment: its result is `value`, which the surrounding kernel defines. */
export const plainFragment: Fragment = { bindings: [], declarations: "", statements: "", result: "value" };
