/**
 * Writes ONNX models (protobuf wire format, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto): only varint,
 * length-delimited and 32-bit fields occur, so no protobuf library is needed.
 */
import type { DType, Shape, Values } from "../graph.ts";

export type OnnxType = DType | "i64" | "f16" | "bf16";
export type OnnxAttribute = number | string | readonly number[] | { readonly float: number };

export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Numbers are integers unless wrapped as `{ float }`. */
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
  readonly domain: "" | "com.microsoft";
}

export interface OnnxValue {
  readonly name: string;
  readonly dtype: OnnxType;
  readonly shape: Shape;
}

export interface OnnxInitializer extends OnnxValue {
  /** Undefined: the bytes are passed to the session separately, under the tensor's name. */
  readonly data: Values | BigInt64Array | undefined;
}

export interface OnnxModel {
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly initializers: readonly OnnxInitializer[];
}

/** ONNX Runtime 1.30 reads IR versions up to 10 and opsets up to 24. */
const irVersion = 10;
const opsetVersion = 23;

/** The model's bytes, as `InferenceSession.create` takes them. */
export function encodeModel(model: OnnxModel): Uint8Array {
  const graph = message(
    ...model.nodes.map((node, index) => field(1, encodeNode(node, `n${index}`))),
    text(2, "lfp"),
    ...model.initializers.map((initializer) => field(5, encodeInitializer(initializer))),
    ...model.inputs.map((value) => field(11, encodeValue(value))),
    ...model.outputs.map((value) => field(12, encodeValue(value))),
  );
  const opset = (domain: string, version: number) => field(8, message(text(1, domain), int(2, version)));
  return message(
    int(1, irVersion),
    text(2, "lfp-lens"),
    field(7, graph),
    opset("", opsetVersion),
    opset("com.microsoft", 1),
  );
}

/** The model as text, one node per line, for debugging and tests. */
export function describeModel(model: OnnxModel): string {
  return model.nodes
    .map(({ op, inputs, outputs, attributes }) => {
      const shown = Object.entries(attributes).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
      return `${outputs.join(", ")} = ${op}(${inputs.join(", ")})${shown.length === 0 ? "" : ` {${shown.join(", ")}}`}`;
    })
    .join("\n");
}

const elementTypes: Readonly<Record<OnnxType, number>> = { f32: 1, i32: 6, i64: 7, f16: 10, bf16: 16 };
const attributeTypes = { float: 1, int: 2, string: 3, ints: 7 } as const;

function encodeNode(node: OnnxNode, name: string): Uint8Array {
  return message(
    ...node.inputs.map((input) => text(1, input)),
    ...node.outputs.map((output) => text(2, output)),
    text(3, name),
    text(4, node.op),
    ...Object.entries(node.attributes).map(([key, value]) => field(5, encodeAttribute(key, value))),
    text(7, node.domain),
  );
}

function encodeAttribute(name: string, value: OnnxAttribute): Uint8Array {
  if (typeof value === "number") return message(text(1, name), int(3, value), int(20, attributeTypes.int));
  if (typeof value === "string") return message(text(1, name), text(4, value), int(20, attributeTypes.string));
  if ("float" in value) return message(text(1, name), float(2, value.float), int(20, attributeTypes.float));
  return message(text(1, name), ...value.map((item) => int(8, item)), int(20, attributeTypes.ints));
}

function encodeInitializer({ name, dtype, shape, data }: OnnxInitializer): Uint8Array {
  const head = message(...shape.map((extent) => int(1, extent)), int(2, elementTypes[dtype]), text(8, name));
  if (data !== undefined) return message(head, field(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)));
  const externalDataLocation = 1;
  return message(head, field(13, message(text(1, "location"), text(2, name))), int(14, externalDataLocation));
}

function encodeValue({ name, dtype, shape }: OnnxValue): Uint8Array {
  const dimensions = message(...shape.map((extent) => field(1, int(1, extent))));
  const tensorType = message(int(1, elementTypes[dtype]), field(2, dimensions));
  return message(text(1, name), field(2, field(1, tensorType)));
}

function message(...parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}

function field(number: number, payload: Uint8Array): Uint8Array {
  return message(varint((number << 3) | 2), varint(payload.length), payload);
}

function text(number: number, value: string): Uint8Array {
  return field(number, Buffer.from(value));
}

function int(number: number, value: number): Uint8Array {
  return message(varint(number << 3), varint(value));
}

function float(number: number, value: number): Uint8Array {
  return message(varint((number << 3) | 5), new Uint8Array(Float32Array.of(value).buffer));
}

/** Negative numbers take ten bytes: two's complement in 64 bits. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}
