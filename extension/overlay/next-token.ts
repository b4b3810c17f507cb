/** The nearest token that starts after (before) an offset; at the end, the first (last) one. */
export function nextToken<T extends { readonly start: number }>(
  inOrder: readonly T[],
  offset: number,
  direction: 1 | -1,
): T | undefined {
  return direction === 1
    ? (inOrder.find(({ start }) => start > offset) ?? inOrder[0])
    : (inOrder.findLast(({ start }) => start < offset) ?? inOrder.at(-1));
}
