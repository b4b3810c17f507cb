/** How far down a page was scrolled: VS Code throws a page away when its tab is hidden, and makes it anew. */

/** Goes back to where the page was left, and keeps from then on where it is; to be called once, when what it shows is drawn. */
export function keepScroll(leftAt: number, keep: (scroll: number) => void): void {
  window.scrollTo(0, leftAt);
  window.addEventListener("scrollend", () => keep(Math.round(window.scrollY)));
}
