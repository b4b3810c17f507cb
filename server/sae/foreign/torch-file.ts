/** State dictionaries that torch.save wrote (since PyTorch 1.6: a zip archive of a pickle and raw numbers). */
import { readWholeFile } from "../../common/text-file.ts";
import { SaeFormatError } from "../errors.ts";
import { isTensor, readPickle } from "./pickle.ts";
import type { TensorReference } from "./pickle-values.ts";
import { type ElementType, elementBytes, requireFew, type Tensor, type Tensors, toFloat32 } from "./tensors.ts";
import { readZip } from "./zip.ts";

/**
 * The tensors of a file by name. Runs nothing: the pickle in it is read by instructions and names that tensors need, and any
 * other name of code is refused. Throws `SaeFormatError`.
 */
export async function readTorchFile(path: string): Promise<Tensors> {
  const bytes = await readWholeFile(path, "dictionary");
  const files = readZip(bytes, path);
  const pickle = [...files.keys()].find((name) => name === "data.pkl" || name.endsWith("/data.pkl"));
  if (pickle === undefined)
    throw new SaeFormatError(`${path} holds no data.pkl; expected a file that torch.save wrote`);
  const root = pickle.slice(0, -"data.pkl".length);
  const value = readPickle(files.get(pickle)?.() ?? Buffer.alloc(0), path);
  if (!(value instanceof Map))
    throw new SaeFormatError(`${path} holds no dictionary of tensors; save the model's state_dict`);
  const tensors = new Map<string, Tensor>();
  requireFew(value.size, path);
  let numbers = 0;
  for (const [name, reference] of value) {
    if (typeof name !== "string" || !isTensor(reference)) continue;
    const where = `${path}: tensor '${name}'`;
    const tensor = tensorAt(reference, files.get(`${root}data/${reference.storage.key}`), where);
    numbers += tensor.values.length;
    // Of two bytes at least; tied weights may lie in one storage.
    if (numbers > bytes.length)
      throw new SaeFormatError(
        `${path} has tensors of ${numbers} numbers and more; its ${bytes.length} bytes hold fewer`,
      );
    tensors.set(name, tensor);
  }
  return tensors;
}

const types: Readonly<Record<string, ElementType>> = {
  "torch.FloatStorage": "f32",
  "torch.HalfStorage": "f16",
  "torch.BFloat16Storage": "bf16",
  "torch.DoubleStorage": "f64",
  "torch.IntStorage": "i32",
  "torch.LongStorage": "i64",
};

/** A tensor of its storage, in row-major order whatever its strides. */
function tensorAt(reference: TensorReference, read: (() => Buffer) | undefined, where: string): Tensor {
  const { shape, strides, offset, storage } = reference;
  const type = Object.hasOwn(types, storage.type) ? types[storage.type] : undefined;
  if (read === undefined || type === undefined || shape.length !== strides.length || shape.length > 2)
    throw new SaeFormatError(`${where} cannot be read: expected numbers in the archive, as a vector or a matrix`);
  const all = toFloat32(read(), type);
  const [rows = 1, columns = 1] = shape.length === 2 ? shape : [1, ...shape];
  const [down = 0, across = 1] = strides.length === 2 ? strides : [0, ...strides];
  const last = offset + (rows - 1) * down + (columns - 1) * across;
  if (
    ![rows, columns, down, across, offset].every((number) => Number.isInteger(number) && number >= 0) ||
    last >= all.length ||
    rows * columns > all.length
  )
    throw new SaeFormatError(
      `${where} is [${shape}] at ${offset}, beyond the ${all.length} numbers of its storage (${elementBytes[type]} bytes each)`,
    );
  const values = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      values[row * columns + column] = all[offset + row * down + column * across] ?? Number.NaN;
  return { shape, values };
}
