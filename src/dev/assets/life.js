// How long the token still lives, as a ring and in words.

import { write } from "./text.js";

const element = (id) => document.getElementById(id);
let timer;

/** Runs until the token is over, or another takes its place. */
export function show(token) {
  clearInterval(timer);
  const [from, due, until] = [token.LastUpdated, token.RefreshAfter, token.Expiration].map(Date.parse);
  const tick = () => {
    const now = Date.now();
    const left = Math.max(0, until - now);
    left ? (element("ring-text").textContent = clock(left)) : write(element("ring-text"), "life.over");
    const key = !left ? "life.ended" : due > now ? "life.left" : "life.due";
    write(element("life-text"), key, { left: clock(left), due: clock(Math.max(0, due - now)) });
    const part = Math.min(1, left / (until - from));
    document.querySelector("#ring .left").setAttribute("stroke-dashoffset", 100 * (1 - part));
    element("ring").classList.toggle("due", now >= due);
    element("ring").classList.toggle("over", !left);
    if (!left) {
      clearInterval(timer);
    }
  };
  tick();
  timer = setInterval(tick, 1000);
}

/** `59:08`, or `1:00:00`. */
export function clock(millis) {
  const seconds = Math.floor(millis / 1000);
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}
