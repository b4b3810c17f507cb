/** VS Code's theme as a page sees it: CSS variables on the root element, and a class on the body. */

/** Calls `callback` after every change of theme, until the signal aborts. */
export function onThemeChange(callback: () => void, signal: AbortSignal): void {
  const observer = new MutationObserver(callback);
  observer.observe(document.body, { attributes: true, attributeFilter: ["class", "data-vscode-theme-id"] });
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ["style"] });
  signal.addEventListener("abort", () => observer.disconnect());
}

/** The value of a CSS variable, for drawing on a canvas. */
export function themeColour(variable: `--${string}`): string {
  return getComputedStyle(document.body).getPropertyValue(variable).trim() || "gray";
}

/** Whether the theme is one of the two high-contrast themes. */
export function isHighContrast(): boolean {
  return document.body.matches(".vscode-high-contrast, .vscode-high-contrast-light");
}
