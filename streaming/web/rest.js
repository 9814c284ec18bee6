// While nobody looks at the page, the server may rest.

export function restWhileHidden(running) {
  let resting = []; // streams
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) resting = running();
    for (const stream of resting) stream.control(document.hidden ? "pause" : "resume");
    if (!document.hidden) resting = [];
  });
}
