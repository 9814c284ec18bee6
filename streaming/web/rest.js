// While nobody looks at the page, the server may rest.

export function restWhileHidden(running) {
  let [resting, leaving] = [[], false]; // streams; whether the page is going: a reload finds the world as it was
  window.addEventListener("pagehide", () => (leaving = true));
  window.addEventListener("pageshow", () => (leaving = false));
  document.addEventListener("visibilitychange", () => {
    if (document.hidden && !leaving) resting = running();
    for (const stream of resting) stream.control(document.hidden ? "pause" : "resume");
    if (!document.hidden) resting = [];
  });
}
