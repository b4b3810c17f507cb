/**
 * Behaviour of menus, which are `details` elements of the class `menu`: at most one is open, and it closes as menus do.
 */

/**
 * Closes the open menu on Escape (and returns the focus to its button), when the user picks one of its buttons, and on
 * a click anywhere else, which then has no other effect. `root` is the shadow root of the page that holds the menus.
 * The result removes the listeners.
 */
export function closeMenus(root: ParentNode): () => void {
  const open = (): HTMLDetailsElement[] => [...root.querySelectorAll<HTMLDetailsElement>("details.menu[open]")];
  const onKey = (event: KeyboardEvent): void => {
    if (event.key !== "Escape") return;
    for (const menu of open()) {
      menu.open = false;
      menu.querySelector("summary")?.focus();
      event.preventDefault();
    }
  };
  const onClick = (event: MouseEvent): void => {
    const path = event.composedPath();
    const chosen = path.some((one) => one instanceof HTMLButtonElement);
    const left = open().filter((menu) => chosen || !path.includes(menu));
    for (const menu of left) menu.open = false;
    const inMenu = path.some((one) => one instanceof HTMLDetailsElement && one.matches(".menu"));
    if (left.length === 0 || inMenu) return;
    event.preventDefault();
    event.stopPropagation();
  };
  window.addEventListener("keydown", onKey);
  window.addEventListener("click", onClick, { capture: true });
  return () => {
    window.removeEventListener("keydown", onKey);
    window.removeEventListener("click", onClick, { capture: true });
  };
}
