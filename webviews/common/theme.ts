/** VS Code's theme as the page sees it: variables on the root element, and a class on the body. */

/** Calls back after every change of theme, until the signal. */
export function onThemeChange(callback: () => void, signal: AbortSignal): void {
  const observer = new MutationObserver(callback);
  observer.observe(document.body, { attributes: true, attributeFilter: ["class", "data-vscode-theme-id"] });
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ["style"] });
  signal.addEventListener("abort", () => observer.disconnect());
}

/** The value of a CSS variable, for what is drawn on a canvas. */
export function themeColour(variable: `--${string}`): string {
  return getComputedStyle(document.body).getPropertyValue(variable).trim() || "gray";
}

/** Whether the theme is one of the two of high contrast. */
export function isHighContrast(): boolean {
  return document.body.matches(".vscode-high-contrast, .vscode-high-contrast-light");
}
