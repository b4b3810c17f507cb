/** A name in lower case with its words joined by hyphens: `NVIDIA H200` gives `nvidia-h200`. */
export function slug(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "");
}
