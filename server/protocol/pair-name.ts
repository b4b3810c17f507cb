/** Names two checkpoints by the ends of their paths that distinguish them: `dpo compared with pythia`. */
export function pairName({ tuned, base }: { readonly tuned: string; readonly base: string }): string {
  const [one, other] = [partsOf(tuned), partsOf(base)];
  const most = Math.max(one.length, other.length);
  let count = 1;
  while (count < most && endOf(one, count) === endOf(other, count)) count += 1;
  return `${endOf(one, count)} compared with ${endOf(other, count)}`;
}

function partsOf(path: string): string[] {
  return path.split(/[/\\]/).filter((part) => part !== "");
}

function endOf(parts: readonly string[], count: number): string {
  return parts.slice(-count).join("/");
}
