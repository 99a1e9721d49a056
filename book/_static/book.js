/* The theme lets the keyboard reach a block that scrolls sideways, as far as it can measure it:
   when the page opens, and when the window changes.
   Blocks that were folded are measured once open. */
const FOLD = ".toggle-button, .admonition.toggle > .admonition-title";
const measureAgain = () => window.dispatchEvent(new Event("resize"));
document.addEventListener("toggle", measureAgain, true);
document.addEventListener("click", (click) => {
  if (click.target.closest(FOLD)) measureAgain();
});

/* A figure with frames beside it gets a slider, which the keyboard moves as well. */
const addSlider = (script) => {
  const { figure, alt, start, frames } = JSON.parse(script.textContent);
  const place = document.getElementById(figure);
  const image = place && place.querySelector("img");
  if (!image) return;
  const slider = document.createElement("input");
  const said = document.createElement("output");
  Object.assign(slider, { type: "range", min: 0, max: frames.length - 1, step: 1, value: start });
  const show = () => {
    const { label, src } = frames[slider.value];
    image.src = src;
    image.alt = `${alt} Now: ${label}.`;
    said.textContent = label;
    slider.setAttribute("aria-valuetext", label);
  };
  slider.setAttribute("aria-label", "Which of the pictures is shown");
  slider.addEventListener("input", show);
  const row = document.createElement("div");
  row.className = "slider";
  row.append(slider, said);
  (image.closest("a") || image).after(row);
  show();
};
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("script.frames").forEach(addSlider);
});
