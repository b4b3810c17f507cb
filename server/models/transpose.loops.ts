/** A matrix [rows, columns] as [columns, rows]. */
export function transposed(values: Float32Array, rows: number, columns: number): Float32Array<ArrayBuffer> {
  const result = new Float32Array(values.length);
  transposeInto(values, rows, columns, result);
  return result;
}

/** As `transposed`, for the bits of F16 or BF16 values. */
export function transposedHalf(values: Uint16Array, rows: number, columns: number): Uint16Array<ArrayBuffer> {
  const result = new Uint16Array(values.length);
  transposeInto(values, rows, columns, result);
  return result;
}

function transposeInto<V extends Float32Array | Uint16Array>(values: V, rows: number, columns: number, to: V): void {
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) to[column * rows + row] = values[row * columns + column]!;
}
