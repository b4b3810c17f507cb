/** Row indices in ascending order of value; stable for equal values (zero and negative zero are equal). */
export function ascendingOrder(values: Float64Array): Uint32Array {
  return sortedByKey(
    new Uint32Array(values.length).map((_, i) => i),
    values,
  );
}

/** Sorts the rows of `order` by their key (stable bottom-up merge sort); overwrites `order`. */
export function sortedByKey(order: Uint32Array, keys: Float64Array): Uint32Array {
  const n = order.length;
  let from: Uint32Array = order;
  let to: Uint32Array = new Uint32Array(n);
  for (let width = 1; width < n; width *= 2) {
    for (let start = 0; start < n; start += 2 * width) {
      const middle = Math.min(start + width, n);
      const end = Math.min(start + 2 * width, n);
      let left = start;
      let right = middle;
      for (let k = start; k < end; k++) {
        const takeLeft = left < middle && (right >= end || keys[from[left]!]! <= keys[from[right]!]!);
        to[k] = from[takeLeft ? left++ : right++]!;
      }
    }
    [from, to] = [to, from];
  }
  return from;
}

/** Ranks from 1, in the order of `values`; equal values share the mean of their ranks. */
export function averageRanks(values: Float64Array): Float64Array {
  const order = ascendingOrder(values);
  const ranks = new Float64Array(values.length);
  for (let start = 0, end = 0; start < order.length; start = end) {
    while (end < order.length && values[order[end]!] === values[order[start]!]) end++;
    for (let i = start; i < end; i++) ranks[order[i]!] = (start + 1 + end) / 2;
  }
  return ranks;
}
