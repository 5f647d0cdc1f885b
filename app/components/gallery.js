// Shows tiles that can be chosen by mouse or keyboard. Names are user input: they are only ever set as text.

const MARKS = { good: "✓", bad: "✗", warn: "!" };
const STEPS = { ArrowLeft: -1, ArrowRight: 1 };

function element(kind, className) {
  const made = document.createElement(kind);
  if (className) made.className = className;
  return made;
}

function makeTile(selectable) {
  const tile = element(selectable ? "button" : "div", "tile");
  if (selectable) tile.type = "button";
  const words = element("div", "words");
  const caption = element("div", "caption");
  caption.append(element("span", "mark"), element("span", "name"));
  words.append(caption, element("div", "detail"));
  tile.append(element("div", "pictures"), words);
  return tile;
}

// Only what differs is touched: pictures that stay do not flicker.
function setPictures(tile, sources, alt) {
  const box = tile.querySelector(".pictures");
  box.classList.toggle("two", sources.length > 1);
  while (box.children.length > sources.length) box.lastChild.remove();
  sources.forEach((source, place) => {
    const picture = box.children[place] ?? box.appendChild(element("img"));
    if (picture.getAttribute("src") !== source) picture.src = source;
    picture.alt = place === 0 ? alt : "heat-map of " + alt;
  });
}

function fill(tile, facts) {
  tile.dataset.key = facts.key;
  tile.className = "tile " + (facts.tone || "");
  tile.title = facts.detail ? facts.caption + "\n" + facts.detail : facts.caption;
  tile.querySelector(".mark").textContent = MARKS[facts.tone] ?? "";
  tile.querySelector(".mark").hidden = !MARKS[facts.tone];
  tile.querySelector(".name").textContent = facts.caption;
  tile.querySelector(".detail").textContent = facts.detail;
  setPictures(tile, facts.images, facts.caption);
}

function showChosen(grid) {
  for (const tile of grid.children) {
    if (tile.tagName === "BUTTON") tile.setAttribute("aria-pressed", String(grid.chosen.has(tile.dataset.key)));
  }
}

function choose(grid, key, many) {
  const had = grid.chosen.has(key);
  if (!many) grid.chosen.clear();
  if (had) grid.chosen.delete(key);
  else grid.chosen.add(key);
  showChosen(grid);
  return [...grid.chosen];
}

function moveFocus(grid, event, columns) {
  const tiles = [...grid.children];
  const here = tiles.indexOf(event.target.closest(".tile"));
  const step = STEPS[event.key] ?? { ArrowUp: -columns, ArrowDown: columns }[event.key];
  if (here < 0 || step === undefined || !tiles[here + step]) return;
  event.preventDefault();
  tiles[here + step].focus();
}

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const grid = parentElement.querySelector(".grid");
  const selectable = data.select !== "none";
  // The browser is ahead of the server while responses are pending, so its own choice counts once it has started.
  grid.chosen ??= new Set(data.selected);
  grid.style.setProperty("--columns", data.columns);
  grid.style.setProperty("--narrow", Math.min(data.columns, data.tiles.some((tile) => tile.images.length > 1) ? 2 : 3));
  if (grid.selectable !== selectable) grid.replaceChildren();
  grid.selectable = selectable;
  while (grid.children.length > data.tiles.length) grid.lastChild.remove();
  data.tiles.forEach((facts, place) => {
    fill(grid.children[place] ?? grid.appendChild(makeTile(selectable)), facts);
  });
  showChosen(grid);
  grid.onclick = (event) => {
    const tile = event.target.closest("button.tile");
    if (tile) setStateValue("selected", choose(grid, tile.dataset.key, data.select === "many"));
  };
  grid.onkeydown = (event) => moveFocus(grid, event, getComputedStyle(grid).gridTemplateColumns.split(" ").length);
}
