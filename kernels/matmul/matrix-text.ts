/** The WGSL of subgroup matrices, in one place, since it is experimental: another adapter or a later Dawn may want it otherwise. */

/** A product that one subgroup does at once, [M, K] x [K, N], as the adapter lists it. */
export interface MatrixConfig {
  readonly componentType: string;
  readonly resultComponentType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/** A factor in workgroup memory: where in the array, in elements of the array, and how its lines lie. */
export interface Operand {
  readonly name: string;
  readonly store: string;
  readonly offset: string;
  readonly stride: number;
  readonly rowMajor: boolean;
}

/** Statements about matrices; each ends with a semicolon. */
export interface MatrixText {
  readonly component: string;
  readonly enables: readonly string[];
  readonly builtins: readonly string[];
  readonly declarations: string;
  attributes(subgroupSize: number): readonly string[];
  /** The number of the subgroup in its workgroup, as the compiler must see it to know that it is uniform. */
  subgroup(subgroupSize: number): string;
  zero(name: string): string;
  loadLeft(operand: Operand): string;
  loadRight(operand: Operand): string;
  multiplyAdd(sum: string, left: Operand, right: Operand): string;
  scale(name: string, factor: string): string;
  store(to: string, offset: string, name: string, stride: string): string;
}

/** The builtins themselves. Types name columns before rows. */
export function subgroupMatrices({ componentType, M, N, K }: MatrixConfig, pinned: boolean): MatrixText {
  const load = (type: string, { name, store, offset, stride, rowMajor }: Operand): string =>
    `      let ${name} = subgroupMatrixLoad<${type}, ${rowMajor ? "row_major" : "col_major"}>(&${store}, ${offset}, ${stride}u);`;
  return {
    component: componentType,
    enables: [
      ...(componentType === "f16" ? ["f16"] : []),
      "subgroups",
      "chromium_experimental_subgroup_matrix",
      ...(pinned ? ["subgroup_size_control"] : []),
    ],
    builtins: ["@builtin(subgroup_id) subgroupId: u32"],
    declarations: "",
    attributes: (subgroupSize) => (pinned ? [`@subgroup_size(${subgroupSize})`] : []),
    subgroup: () => "subgroupId",
    zero: (name) => `  var ${name}: subgroup_matrix_result<f32, ${N}, ${M}>;`,
    loadLeft: (operand) => load(`subgroup_matrix_left<${componentType}, ${K}, ${M}>`, operand),
    loadRight: (operand) => load(`subgroup_matrix_right<${componentType}, ${N}, ${K}>`, operand),
    multiplyAdd: (sum, left, right) =>
      `      ${sum} = subgroupMatrixMultiplyAccumulate(${left.name}, ${right.name}, ${sum});`,
    scale: (name, factor) => `  ${name} = subgroupMatrixScalarMultiply(${name}, ${factor});`,
    store: (to, offset, name, stride) => `  subgroupMatrixStore<row_major>(&${to}, ${offset}, ${name}, ${stride});`,
  };
}
