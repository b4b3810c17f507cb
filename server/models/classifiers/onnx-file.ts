/**
 * What an ONNX file says of its inputs, outputs and external weights (onnx/onnx.proto), read before ONNX Runtime sees
 * it. Nothing is copied: parts are views of the file.
 */
import { ClassifierError } from "./errors.ts";

/** An input or output; a dimension without a number is free. */
export interface OnnxValue {
  readonly name: string;
  /** TensorProto.DataType: 1 is float, 6 int32, 7 int64; 0 for what is no tensor. */
  readonly elementType: number;
  readonly shape: readonly (number | undefined)[];
}

export interface OnnxFile {
  /** Inputs that have no initial value. */
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  /** Locations of weights outside of the file, as it spells them. */
  readonly external: readonly string[];
}

/** Reads the file's structure. Throws `ClassifierError` for bytes that are no ONNX model. */
export function parseOnnx(bytes: Uint8Array, path: string): OnnxFile {
  const found: Found = { inputs: [], outputs: [], initialised: new Set(), external: new Set(), graphs: 0 };
  try {
    visit("model", bytes, found, 0);
    if (found.graphs !== 1) throw new RangeError(`it has ${found.graphs} graphs; expected one`);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new ClassifierError(`${path} is no ONNX model (${error.message}). Download or export it again`);
  }
  return {
    inputs: found.inputs.filter(({ name }) => !found.initialised.has(name)),
    outputs: found.outputs,
    external: [...found.external],
  };
}

interface Found {
  readonly inputs: OnnxValue[];
  readonly outputs: OnnxValue[];
  readonly initialised: Set<string>;
  readonly external: Set<string>;
  graphs: number;
}

type Message = "model" | "graph" | "node" | "attribute" | "function" | "training" | "sparse" | "tensor";

/** The fields of each message in which tensors can stand, and what they hold. */
const fields: Readonly<Record<Message, Readonly<Record<number, Message>>>> = {
  model: { 7: "graph", 20: "training", 25: "function" },
  graph: { 1: "node", 5: "tensor", 15: "sparse" },
  node: { 5: "attribute" },
  attribute: { 5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse" },
  function: { 7: "node", 11: "attribute" },
  training: { 1: "graph", 2: "graph" },
  sparse: { 1: "tensor", 2: "tensor" },
  tensor: {},
};

/** Graphs inside of graphs, as loops and conditions have them. */
const DEEPEST = 64;

function visit(message: Message, bytes: Uint8Array, found: Found, depth: number): void {
  if (depth > DEEPEST) throw new RangeError("its graphs are nested too deeply");
  const isMain = message === "graph" && depth === 1;
  if (isMain) found.graphs += 1;
  for (const { number, part } of fieldsOf(bytes)) {
    if (part === undefined) continue;
    if (isMain && number === 11) found.inputs.push(describedValue(part));
    if (isMain && number === 12) found.outputs.push(describedValue(part));
    if (isMain && number === 5) found.initialised.add(textOf(part, 8));
    if (message === "tensor" && number === 13 && textOf(part, 1) === "location") found.external.add(textOf(part, 2));
    const inner = fields[message][number];
    if (inner !== undefined) visit(inner, part, found, depth + 1);
  }
}

/** ValueInfoProto: name, and of its tensor's type the element type and the dimensions. */
function describedValue(bytes: Uint8Array): OnnxValue {
  const tensor = partOf(partOf(bytes, 2), 1);
  const shape: (number | undefined)[] = [];
  for (const { number, part } of fieldsOf(partOf(tensor, 2))) {
    if (number !== 1 || part === undefined) continue;
    const size = [...fieldsOf(part)].find((field) => field.number === 1)?.value;
    // Some exporters write a free dimension as -1.
    shape.push(size === undefined || BigInt.asIntN(64, size) < 0n ? undefined : Number(size));
  }
  const elementType = [...fieldsOf(tensor)].find(({ number }) => number === 1)?.value;
  return { name: textOf(bytes, 1), elementType: Number(elementType ?? 0n), shape };
}

function partOf(bytes: Uint8Array, wanted: number): Uint8Array {
  for (const { number, part } of fieldsOf(bytes)) if (number === wanted && part !== undefined) return part;
  return new Uint8Array();
}

function textOf(bytes: Uint8Array, wanted: number): string {
  return new TextDecoder().decode(partOf(bytes, wanted));
}

/** A field of a message: its bytes where it has a length, its number where it is a varint. */
interface Field {
  readonly number: number;
  readonly part?: Uint8Array;
  readonly value?: bigint;
}

/** The fields of a protobuf message, in order. Throws `RangeError` where the bytes end too early or make no sense. */
function* fieldsOf(bytes: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at];
      if (byte === undefined) throw new RangeError("it ends within a number");
      at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new RangeError("it has a number of more than ten bytes");
  };
  const skip = (length: number): Uint8Array => {
    if (length > bytes.length - at) throw new RangeError(`it ends before the ${length} bytes that it announces`);
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = varint();
    const number = Number(tag >> 3n);
    const wire = Number(tag & 7n);
    if (wire === 0) yield { number, value: varint() };
    else if (wire === 2) yield { number, part: skip(Number(varint())) };
    else if (wire === 1) skip(8);
    else if (wire === 5) skip(4);
    else throw new RangeError(`it has a field of wire type ${wire}`);
  }
}
