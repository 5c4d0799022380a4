/** The buttons of a map's legend: each picks its group out, and a second time lets go of it. */

function pick(button: HTMLButtonElement): void {
  const { map: id = "", group } = button.dataset;
  const isPicked = button.getAttribute("aria-pressed") === "true";
  for (const other of document.querySelectorAll<HTMLButtonElement>(`button[data-map="${id}"]`)) {
    other.setAttribute("aria-pressed", String(other === button && !isPicked));
  }
  const map = document.getElementById(id);
  for (const points of map?.querySelectorAll<SVGElement>("[data-group]") ?? []) {
    points.classList.toggle("faded", !isPicked && points.dataset.group !== group);
  }
}

/** Waits for clicks. */
export function watchGroups(): void {
  for (const button of document.querySelectorAll<HTMLButtonElement>("button[data-map]")) {
    button.addEventListener("click", () => pick(button));
  }
}
