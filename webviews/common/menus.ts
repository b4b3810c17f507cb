/**
 * Behaviour of menus, which are `details` elements of the class `menu` with a `.list`: at most one is open, it lies
 * within the window, and it closes as menus do.
 */

/**
 * Keeps an opened menu within the window. Closes it on Escape (and returns the focus to its button), when the user picks one of its buttons, and on
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
  const onToggle = ({ target }: Event): void => {
    if (!(target instanceof HTMLDetailsElement) || !target.open) return;
    const list = target.querySelector<HTMLElement>(".list");
    if (list !== null) keepInWindow(list);
  };
  // `toggle` does not bubble.
  root.addEventListener("toggle", onToggle, { capture: true });
  window.addEventListener("keydown", onKey);
  window.addEventListener("click", onClick, { capture: true });
  return () => {
    root.removeEventListener("toggle", onToggle, { capture: true });
    window.removeEventListener("keydown", onKey);
    window.removeEventListener("click", onClick, { capture: true });
  };
}

/** Shifts a list to the left by as much as it would be cut at the window's edge. */
function keepInWindow(list: HTMLElement): void {
  list.style.left = "0";
  const { left, right } = list.getBoundingClientRect();
  const past = right - document.documentElement.clientWidth + EDGE_PX;
  if (past > 0) list.style.left = `${-Math.min(past, left)}px`;
}

/** Space between a list and the window's edge. */
const EDGE_PX = 8;
