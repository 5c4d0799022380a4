/**
 * Fingers on the map. The plot knows a mouse and a wheel: one finger becomes the one, two that part
 * or meet become the other.
 */

interface Finger {
  x: number;
  y: number;
}

/** How far a finger may move in a tap, in CSS pixels. */
const TAP = 8;
/** Wheel distance that stands for a doubling of the distance between two fingers. */
const DOUBLING = 300;

function send(target: EventTarget, type: string, { x, y }: Finger, buttons: number): void {
  const init = { clientX: x, clientY: y, button: 0, buttons, bubbles: true, cancelable: true };
  target.dispatchEvent(new MouseEvent(type, init));
}

/**
 * Lets fingers move, zoom, select and tap.
 *
 * @param onSecond - Called when a second finger comes, before what the first began is ended.
 */
export function watchTouch(canvas: HTMLCanvasElement, onSecond: () => void): void {
  const fingers = new Map<number, Finger>();
  let begin: Finger | null = null;
  let distance = 0;

  const middle = (): Finger => {
    const all = [...fingers.values()];
    const sum = (of: "x" | "y") => all.reduce((total, finger) => total + finger[of], 0);
    return { x: sum("x") / all.length, y: sum("y") / all.length };
  };
  const apart = (): number => {
    const [a, b] = [...fingers.values()] as [Finger, Finger];
    return Math.hypot(a.x - b.x, a.y - b.y);
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch") return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    const finger = { x: event.clientX, y: event.clientY };
    fingers.set(event.pointerId, finger);
    if (fingers.size === 1) {
      begin = finger;
      send(canvas, "mouseenter", finger, 0);
      send(canvas, "mousemove", finger, 0);
      send(canvas, "mousedown", finger, 1);
    } else if (fingers.size === 2) {
      // What one finger began is no drag.
      onSecond();
      if (begin !== null) send(window, "mouseup", begin, 0);
      begin = null;
      distance = apart();
    }
  });

  canvas.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    const finger = { x: event.clientX, y: event.clientY };
    fingers.set(event.pointerId, finger);
    if (fingers.size === 1 && begin !== null) {
      send(canvas, "mousemove", finger, 1);
    } else if (fingers.size === 2) {
      const now = apart();
      const { x, y } = middle();
      const deltaY = -DOUBLING * Math.log2(now / Math.max(1, distance));
      distance = now;
      const init = { clientX: x, clientY: y, deltaY, bubbles: true, cancelable: true };
      // The plot zooms towards where the mouse is.
      send(canvas, "mousemove", { x, y }, 0);
      canvas.dispatchEvent(new WheelEvent("wheel", init));
    }
  });

  const lift = (event: PointerEvent) => {
    const finger = fingers.get(event.pointerId);
    if (finger === undefined) return;
    fingers.delete(event.pointerId);
    if (begin === null) return;
    const first = begin;
    begin = null;
    send(canvas, "mouseup", finger, 0);
    if (event.type === "pointerup" && Math.hypot(finger.x - first.x, finger.y - first.y) < TAP) {
      // No "mouseleave" behind it: what a tap shows stays.
      send(canvas, "click", finger, 0);
      return;
    }
    send(canvas, "mouseleave", finger, 0);
  };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  // The browser makes a click of a tap by itself as well.
  canvas.addEventListener(
    "click",
    (event) => {
      const isMade = !event.isTrusted;
      const isTouch = (event as PointerEvent).pointerType === "touch";
      if (!isMade && isTouch) event.stopImmediatePropagation();
    },
    true,
  );
}
