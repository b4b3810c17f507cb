/** Elements of a drawing as plain data: pages make them nodes, files make them text. */

export interface SvgElement {
  readonly name: "circle" | "g" | "line" | "path" | "rect" | "text" | "title";
  readonly attributes: Readonly<Record<string, string | number>>;
  /** Elements inside, and text, which is never markup. */
  readonly children: readonly (SvgElement | string)[];
}

/** An element with what is inside it. */
export function element(
  name: SvgElement["name"],
  attributes: SvgElement["attributes"],
  ...children: SvgElement["children"]
): SvgElement {
  return { name, attributes, children };
}
