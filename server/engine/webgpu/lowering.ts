import * as bags from "../../../kernels/bags.ts";
import type { FunctionName } from "../../../kernels/math.ts";
import * as norms from "../../../kernels/norms.ts";
import * as rows from "../../../kernels/rows.ts";
import * as sample from "../../../kernels/sample.ts";
import * as scatter from "../../../kernels/scatter.ts";
import * as topK from "../../../kernels/top-k.ts";
import { type Launch, literal } from "../../../kernels/wgsl.ts";
import type { AttentionMask, Node, NodeOf, OpKind } from "../graph.ts";
import { sizeOf } from "../graph.ts";
import * as elements from "./elements.ts";
import { lowerMatmul } from "./lower-matmul.ts";
import { bagsOf, lowerBagGradTable, lowerConcat, lowerNormGradGamma, lowerScatterAddRows } from "./lower-others.ts";
import { lowerReduction } from "./lower-reduction.ts";
import type { ElementRule, Lowering, LoweringRule } from "./lowering-types.ts";

/** One rule for every operator. */
export const loweringRules: { readonly [K in OpKind]: LoweringRule<K> } = {
  input: { kind: "leaf" },
  state: { kind: "leaf" },
  constant: { kind: "leaf" },
  fill: move((node) => literal(node.attrs.value)),
  matmul: own(lowerMatmul),
  embedding: formula(elements.embedding),
  scatterAddRows: own(lowerScatterAddRows),
  embeddingBag: own((node, l) => simple(node, bags.embeddingBagLaunch(bagsOf(node)), l)),
  embeddingBagGradWeights: own((node, l) => simple(node, bags.bagDotsLaunch(bagsOf(node)), l)),
  embeddingBagGradTable: own(lowerBagGradTable),
  layerNorm: own((node, l) => norm(node, node.attrs.eps, true, l)),
  layerNormGradX: own((node, l) => normGradX(node, node.attrs.eps, true, l)),
  layerNormGradGamma: own((node, l) => lowerNormGradGamma(node, { eps: node.attrs.eps, centred: true }, l)),
  rmsNorm: own((node, l) => norm(node, node.attrs.eps, false, l)),
  rmsNormGradX: own((node, l) => normGradX(node, node.attrs.eps, false, l)),
  rmsNormGradGamma: own((node, l) => lowerNormGradGamma(node, { eps: node.attrs.eps, centred: false }, l)),
  softmax: own((node, l) => {
    const shape = rowsOf(node);
    const queries = node.attrs.mask === "none" ? 1 : (node.shape.at(-2) ?? 1);
    const masks = maskOf(node.attrs.mask, node.attrs.window);
    simple(node, rows.softmaxLaunch({ ...shape, queries, ...masks }), l);
  }),
  softmaxGrad: own((node, l) => simple(node, rows.softmaxGradLaunch(rowsOf(node)), l)),
  logSoftmax: own((node, l) => simple(node, rows.logSoftmaxLaunch(rowsOf(node)), l)),
  logSoftmaxGrad: own((node, l) => simple(node, rows.logSoftmaxGradLaunch(rowsOf(node)), l)),
  gatherLogProbs: own((node, l) => simple(node, rows.gatherLogProbsLaunch(rowsOf(need(node.inputs[0]))), l)),
  gatherLogProbsGrad: own((node, l) => simple(node, rows.gatherLogProbsGradLaunch(rowsOf(node)), l)),
  rotary: formula(elements.rotary),
  gelu: viaFunction("geluOf"),
  geluGrad: viaSlope("geluSlope"),
  geluTanh: viaFunction("geluTanhOf"),
  geluTanhGrad: viaSlope("geluTanhSlope"),
  // This form propagates NaN.
  relu: unary((x) => `select(${x}, 0.0f, ${x} < 0.0f)`),
  silu: formula((node, place, b) => {
    b.use("sigmoidOf");
    const [x = ""] = elements.operands(node, place, b);
    return `${x} * sigmoidOf(${x})`;
  }),
  sigmoid: viaFunction("sigmoidOf"),
  softplus: viaFunction("softplusOf"),
  tanh: viaFunction("tanhOf"),
  exp: unary((x) => `exp(${x})`),
  log: unary((x) => `log(${x})`),
  sqrt: unary((x) => `sqrt(${x})`),
  square: unary((x) => `${x} * ${x}`),
  reciprocal: unary((x) => `1.0f / ${x}`),
  negate: unary((x) => `-(${x})`),
  abs: unary((x) => `abs(${x})`),
  stopGradient: move((node, place, builder) => elements.operands(node, place, builder)[0] ?? ""),
  add: several((a, b) => `${a} + ${b}`),
  sub: several((a, b) => `${a} - ${b}`),
  mul: several((a, b) => `${a} * ${b}`),
  div: several((a, b) => `${a} / ${b}`),
  minimum: several((a, b) => `min(${a}, ${b})`),
  maximum: several((a, b) => `max(${a}, ${b})`),
  greater: several((a, b) => `select(0.0f, 1.0f, ${a} > ${b})`),
  where: formula((node, place, b) => {
    const [condition = "", yes = "", no = ""] = elements.operands(node, place, b);
    return `select(${no}, ${yes}, ${condition} != 0.0f)`;
  }),
  affine: formula((node, place, b) => {
    const { mul, add } = node.attrs;
    const [x = ""] = elements.operands(node, place, b);
    const scaled = mul === 1 ? x : `${x} * ${literal(mul)}`;
    return add === 0 ? scaled : `${scaled} + ${literal(add)}`;
  }),
  clip: formula((node, place, b) => {
    const [x = ""] = elements.operands(node, place, b);
    const { low, high } = node.attrs;
    const below = low === Number.NEGATIVE_INFINITY ? x : `max(${x}, ${literal(low)})`;
    return high === Number.POSITIVE_INFINITY ? below : `min(${below}, ${literal(high)})`;
  }),
  sum: own((node, l) => lowerReduction(node, { kind: "sum", scale: 1 }, l), true),
  mean: own((node, l) => {
    lowerReduction(node, { kind: "sum", scale: sizeOf(node.shape) / sizeOf(need(node.inputs[0]).shape) }, l);
  }, true),
  max: own((node, l) => lowerReduction(node, { kind: "max", scale: 1 }, l), true),
  reshape: move(elements.reshape),
  transpose: move(elements.transpose),
  slice: move(elements.slice),
  pad: move(elements.pad),
  concat: own(lowerConcat),
  broadcastTo: move(elements.broadcastTo),
  keepTopK: own((node, l) => simple(node, topK.keepTopKLaunch({ ...rowsOf(node), k: node.attrs.k }), l)),
  topKValues: own((node, l) => {
    simple(node, topK.topKValuesLaunch({ ...rowsOf(need(node.inputs[0])), k: node.attrs.k }), l);
  }),
  topKIndices: own((node, l) => {
    simple(node, topK.topKIndicesLaunch({ ...rowsOf(need(node.inputs[0])), k: node.attrs.k }), l);
  }),
  gatherRow: formula(elements.gatherRow),
  scatterRow: own((node, l) => {
    const [N = 0, K = 0] = need(node.inputs[0]).shape;
    simple(node, scatter.scatterRowLaunch(N, K, node.attrs.width), l);
  }),
  sampleRows: own((node, l) => {
    const launch = sample.sampleLaunch({ ...rowsOf(need(node.inputs[0])), ...node.attrs });
    const values = node.inputs.map((input) => l.read(input));
    l.run(launch, [...values, l.result(node), l.status(asNode(node))]);
  }),
};

export function ruleOf(node: Node): LoweringRule<OpKind> {
  // The table's rule for the node's own kind; the compiler cannot see that they match.
  return loweringRules[node.op] as unknown as LoweringRule<OpKind>;
}

function own<K extends OpKind>(lower: (node: NodeOf<K>, lowering: Lowering) => void, fuses = false): LoweringRule<K> {
  return { kind: "kernel", fuses, lower };
}

function formula<K extends OpKind>(element: ElementRule<K>): LoweringRule<K> {
  return { kind: "element", moves: false, element };
}

function move<K extends OpKind>(element: ElementRule<K>): LoweringRule<K> {
  return { kind: "element", moves: true, element };
}

function unary<K extends OpKind>(write: (x: string) => string): LoweringRule<K> {
  return formula((node, place, builder) => write(elements.operands(node, place, builder)[0] ?? ""));
}

function several<K extends OpKind>(write: (a: string, b: string) => string): LoweringRule<K> {
  return formula((node, place, builder) =>
    elements.operands(node, place, builder).reduce((a, b) => builder.name(write(a, b))),
  );
}

function viaFunction<K extends OpKind>(name: FunctionName): LoweringRule<K> {
  return formula((node, place, builder) => {
    builder.use(name);
    return `${name}(${elements.operands(node, place, builder)[0] ?? ""})`;
  });
}

/** (x, dY) -> dY f'(x) */
function viaSlope<K extends OpKind>(name: FunctionName): LoweringRule<K> {
  return formula((node, place, builder) => {
    builder.use(name);
    const [x = "", dY = ""] = elements.operands(node, place, builder);
    return `${dY} * ${name}(${x})`;
  });
}

/** One launch that reads the operands in their order and writes the result. */
function simple<K extends OpKind>(node: NodeOf<K>, launch: Launch, lowering: Lowering): void {
  const values = node.inputs.map((input) => lowering.read(input));
  lowering.run(launch, [...values, lowering.result(asNode(node))]);
}

function norm<K extends OpKind>(node: NodeOf<K>, eps: number, centred: boolean, lowering: Lowering): void {
  simple(node, norms.normLaunch({ ...rowsOf(node), eps, centred }), lowering);
}

function normGradX<K extends OpKind>(node: NodeOf<K>, eps: number, centred: boolean, lowering: Lowering): void {
  simple(node, norms.normGradXLaunch({ ...rowsOf(node), eps, centred }), lowering);
}

function rowsOf({ shape }: { readonly shape: readonly number[] }): rows.RowsShape {
  const columns = shape.at(-1) ?? 1;
  return { rows: sizeOf(shape) / columns, columns };
}

function maskOf(mask: AttentionMask, window: number): { causal: boolean; window: number } {
  return { causal: mask !== "none", window: mask === "local" ? window : 0 };
}

function need(node: Node | undefined): Node {
  if (node === undefined) throw new TypeError("a lowering rule read an operand that its shape rule does not have");
  return node;
}

function asNode<K extends OpKind>(node: NodeOf<K>): Node {
  // A NodeOf<K> for a known K is a member of the union; the compiler cannot see that through the type parameter.
  return node as unknown as Node;
}
