/* The theme lets the keyboard reach a block that scrolls sideways, as far as it can measure it:
   when the page opens, and when the window changes.
   Blocks that were folded are measured once open. */
const FOLD = ".toggle-button, .admonition.toggle > .admonition-title";
const measureAgain = () => window.dispatchEvent(new Event("resize"));
document.addEventListener("toggle", measureAgain, true);
document.addEventListener("click", (click) => {
  if (click.target.closest(FOLD)) measureAgain();
});
