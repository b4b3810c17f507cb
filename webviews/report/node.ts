import type { SvgElement } from "../../drawing/element.ts";

/** An element of a drawing, and what is inside it, as a node of the page. */
export function nodeOf({ name, attributes, children }: SvgElement): SVGElement {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [attribute, value] of Object.entries(attributes)) node.setAttribute(attribute, String(value));
  node.append(...children.map((child) => (typeof child === "string" ? child : nodeOf(child))));
  return node;
}
