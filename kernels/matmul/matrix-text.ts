/** The WGSL of subgroup matrices, in one place: it is experimental, and other adapters or Dawn versions may differ. */

/** A product that one subgroup computes at once, [M, K] x [K, N], as listed by the adapter. */
export interface MatrixConfig {
  readonly componentType: string;
  readonly resultComponentType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/** A factor in workgroup memory: its array, offset and stride in elements, and the direction of its lines. */
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
  /** The index of the subgroup in its workgroup, in a form that the compiler recognises as uniform. */
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
