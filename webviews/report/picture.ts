/** Exports an SVG of the page as a standalone file, with the theme's colours and fonts written into it. */

/** The style properties that shapes take from the theme. */
const shape = ["fill", "fill-opacity", "stroke", "stroke-opacity", "stroke-width", "stroke-dasharray"];
const shown: Readonly<Record<string, readonly string[]>> = {
  text: ["fill", "font-family", "font-size"],
  rect: shape,
  path: shape,
  line: shape,
  circle: shape,
};
/** The defaults of SVG, which need not be written. */
const usual = new Set([
  "fill-opacity: 1",
  "stroke: none",
  "stroke-opacity: 1",
  "stroke-width: 1px",
  "stroke-dasharray: none",
]);

export function standaloneSvg(drawn: SVGSVGElement): string {
  const copy = drawn.cloneNode(true);
  if (!(copy instanceof SVGSVGElement)) return "";
  const originals = drawn.querySelectorAll("*");
  for (const [at, element] of copy.querySelectorAll("*").entries()) {
    const original = originals[at];
    if (original === undefined) continue;
    const style = getComputedStyle(original);
    for (const name of shown[element.localName] ?? []) {
      const value = style.getPropertyValue(name);
      if (!usual.has(`${name}: ${value}`)) element.setAttribute(name, value);
    }
    element.removeAttribute("class");
  }
  const box = drawn.viewBox.baseVal;
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", String(box.width));
  copy.setAttribute("height", String(box.height));
  copy.removeAttribute("class");
  const ground = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [name, value] of Object.entries({
    width: "100%",
    height: "100%",
    fill: getComputedStyle(document.body).backgroundColor,
  }))
    ground.setAttribute(name, value);
  copy.prepend(ground);
  // Removes Lit's markers, which are comments.
  return new XMLSerializer().serializeToString(copy).replace(/<!--.*?-->/gs, "");
}

/** Renders the SVG as a PNG at twice the size, in base64. */
export async function pngOf(
  text: string,
  { width, height }: { readonly width: number; readonly height: number },
): Promise<string> {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = 2 * width;
  canvas.height = 2 * height;
  const context = canvas.getContext("2d");
  context?.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/png").replace(/^data:image\/png;base64,/, "");
}
