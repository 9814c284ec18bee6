// While nobody looks at the page, the server may rest.

export function restWhileHidden(runs, control) {
  let resting = false;
  document.addEventListener("visibilitychange", () => {
    if (document.hidden && runs()) {
      resting = true;
      control("pause");
    } else if (!document.hidden && resting) {
      resting = false;
      control("resume");
    }
  });
}
