/* The theme lets the keyboard reach a block that scrolls sideways, as far as it can measure it:
   when the page opens, and when the window changes.
   Blocks that were folded are measured once open. */
const FOLD = ".toggle-button, .admonition.toggle > .admonition-title";
const measureAgain = () => window.dispatchEvent(new Event("resize"));
document.addEventListener("toggle", measureAgain, true);
document.addEventListener("click", (click) => {
  if (click.target.closest(FOLD)) measureAgain();
});

/* A figure with frames beside it gets a slider, which the keyboard moves as well, and before it a
   list where there is something to choose: then the slider goes through the frames of the choice. */
const labelled = (text, field) => {
  const label = document.createElement("label");
  label.append(text, field);
  return label;
};
const addSlider = (script) => {
  const { figure, alt, start, frames, choose } = JSON.parse(script.textContent);
  const place = document.getElementById(figure);
  const image = place && place.querySelector("img");
  if (!image) return;
  const row = document.createElement("div");
  const slider = document.createElement("input");
  const said = document.createElement("output");
  let chosen = frames.filter((frame) => frame.choice === frames[start].choice);
  Object.assign(slider, { type: "range", min: 0, max: chosen.length - 1, step: 1 });
  slider.value = chosen.indexOf(frames[start]);
  const show = () => {
    const { choice, label, src } = chosen[slider.value];
    const now = choose ? `${choice}, ${label}` : label;
    image.src = src;
    image.alt = `${alt} Now: ${now}.`;
    said.textContent = label;
    slider.setAttribute("aria-valuetext", now);
  };
  slider.setAttribute("aria-label", "Which of the pictures is shown");
  slider.addEventListener("input", show);
  row.className = "slider";
  if (choose) {
    const list = document.createElement("select");
    const choices = [...new Set(frames.map((frame) => frame.choice))];
    list.append(...choices.map((choice) => new Option(choice)));
    list.value = frames[start].choice;
    list.addEventListener("change", () => {
      chosen = frames.filter((frame) => frame.choice === list.value);
      slider.max = chosen.length - 1; /* a value above it comes down by itself */
      show();
    });
    row.append(labelled(`${choose} `, list));
  }
  row.append(slider, said);
  (image.closest("a") || image).after(row);
  show();
};

/* Headings of a sortable table become buttons, and a field above it picks rows by words. */
const SORT = "aria-sort";
const valueOf = (cell) => {
  const text = cell.textContent.trim().replace(/(\d),(?=\d{3})/g, "$1").replace(/\u2212/g, "-");
  if (text === "\u2013" || text === "") return null; /* a dash: nothing known */
  if (/^-?\u221e/.test(text)) return text.startsWith("-") ? -Infinity : Infinity;
  const found = text.match(/^[-+]?\d+(\.\d+)?/);
  return found ? Number(found[0]) : text;
};
const compare = (one, other) => {
  if (typeof one === "number" && typeof other === "number") return one < other ? -1 : one > other;
  if (typeof one !== typeof other) return typeof one === "number" ? -1 : 1;
  return one.localeCompare(other);
};
const sortBy = (table, head) => {
  const body = table.tBodies[0];
  const way = head.getAttribute(SORT) === "ascending" ? "descending" : "ascending";
  const known = (row) => valueOf(row.cells[head.cellIndex]);
  const rows = [...body.rows];
  const filled = rows.filter((row) => known(row) !== null);
  filled.sort((one, other) => compare(known(one), known(other)) * (way === "ascending" ? 1 : -1));
  [...head.parentElement.cells].forEach((cell) => cell.removeAttribute(SORT));
  head.setAttribute(SORT, way);
  body.append(...filled, ...rows.filter((row) => known(row) === null));
};
const makeSortable = (table) => {
  const rows = [...table.tBodies[0].rows];
  [...table.tHead.rows[0].cells].forEach((head) => {
    const button = document.createElement("button");
    const words = head.querySelector("p") || head;
    button.type = "button";
    button.append(...words.childNodes);
    button.addEventListener("click", () => sortBy(table, head));
    words.append(button);
  });
  const field = document.createElement("input");
  const count = document.createElement("output");
  field.type = "search";
  const pick = () => {
    const words = field.value.toLowerCase().split(/\s+/);
    rows.forEach((row) => {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    });
    count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
  };
  field.addEventListener("input", pick);
  const box = document.createElement("div");
  box.className = "filter";
  box.append(labelled("Only rows with ", field), count);
  (table.closest(".pst-scrollable-table-container") || table).before(box);
  pick();
};
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("script.frames").forEach(addSlider);
  document.querySelectorAll("table.sortable").forEach(makeSortable);
});
