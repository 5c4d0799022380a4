/** Changes what is on the page only where it is another: focus, selection and scrolling stay. */

/** Gives an element a text. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Gives an element an attribute; null takes it away. */
export function setAttribute(element: Element, name: string, value: string | null): void {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** Puts children into an order. What is in its place already is not touched; others are gone. */
export function setChildren(parent: Element, children: readonly Element[]): void {
  const focused = document.activeElement;
  const hadFocus = focused instanceof HTMLElement && parent.contains(focused);
  let at = parent.firstElementChild;
  const wanted = new Set(children);
  for (const child of children) {
    while (at !== null && !wanted.has(at)) {
      const next = at.nextElementSibling;
      at.remove();
      at = next;
    }
    if (at === child) at = at.nextElementSibling;
    else parent.insertBefore(child, at);
  }
  while (at !== null) {
    const next = at.nextElementSibling;
    at.remove();
    at = next;
  }
  // What is moved loses it.
  if (hadFocus && document.activeElement !== focused && parent.contains(focused)) {
    focused.focus({ preventScroll: true });
  }
}
