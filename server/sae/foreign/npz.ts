/** NumPy's archives of arrays: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. */
import { readWholeFile } from "../../common/text-file.ts";
import { transposed } from "../../models/transpose.loops.ts";
import { SaeFormatError } from "../errors.ts";
import { type ElementType, elementBytes, requireFew, type Tensor, type Tensors, toFloat32 } from "./tensors.ts";
import { readZip } from "./zip.ts";

/** The arrays of an .npz file by name. Throws `SaeFormatError`; arrays of Python objects are refused. */
export async function readNpz(path: string): Promise<Tensors> {
  const files = readZip(await readWholeFile(path, "dictionary"), path);
  const arrays = [...files].filter(([name]) => name.endsWith(".npy"));
  requireFew(arrays.length, path);
  return new Map(arrays.map(([name, read]) => [name.slice(0, -".npy".length), parseNpy(read(), `${path}: ${name}`)]));
}

const magic = "\u0093NUMPY";
const types: Readonly<Record<string, ElementType>> = {
  "<f2": "f16",
  "<f4": "f32",
  "<f8": "f64",
  "<i4": "i32",
  "<i8": "i64",
};
const headerForm = /^\{'descr': '([^']{1,16})', 'fortran_order': (True|False), 'shape': \(([\d, ]{0,100})\), \}\s*$/;

function parseNpy(bytes: Buffer, where: string): Tensor {
  const wide = bytes.length > 12 && bytes[6] !== 1;
  if (bytes.length < 12 || bytes.toString("latin1", 0, 6) !== magic)
    throw new SaeFormatError(`${where} is no NumPy array`);
  const start = wide ? 12 : 10;
  const end = start + (wide ? bytes.readUInt32LE(8) : bytes.readUInt16LE(8));
  const [, descr = "", order = "", sizes = ""] =
    headerForm.exec(bytes.toString("latin1", start, Math.min(end, start + 4096))) ?? [];
  const type = Object.hasOwn(types, descr) ? types[descr] : undefined;
  if (type === undefined)
    throw new SaeFormatError(
      `${where} is of type '${descr}'; expected floats or integers (${Object.keys(types).join(", ")})`,
    );
  const shape = sizes
    .split(",")
    .filter((size) => size.trim() !== "")
    .map(Number);
  const count = shape.reduce((product, size) => product * size, 1);
  const body = bytes.subarray(end, end + count * elementBytes[type]);
  if (body.length !== count * elementBytes[type])
    throw new SaeFormatError(
      `${where} holds ${body.length} bytes of data; its shape [${shape}] asks for ${count * elementBytes[type]}`,
    );
  const values = toFloat32(body, type);
  const [rows = 0, columns = 0] = shape;
  if (order === "False" || shape.length < 2) return { shape, values };
  if (shape.length > 2) throw new SaeFormatError(`${where} is in Fortran's order; expected C's`);
  return { shape, values: transposed(values, columns, rows) };
}
