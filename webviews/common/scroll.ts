/** Keeps a page's scroll position: VS Code discards a page when its tab is hidden, and recreates it. */

/** Restores the scroll position and from then on stores each change. Call it once, after the content is drawn. */
export function keepScroll(leftAt: number, keep: (scroll: number) => void): void {
  window.scrollTo(0, leftAt);
  window.addEventListener("scrollend", () => keep(Math.round(window.scrollY)));
}
