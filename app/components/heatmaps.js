// Lays heat-maps over a photo; the slider only changes a CSS variable, so it never waits for the server.
// Names are user input: they are only ever set as text.

function element(kind, className) {
  const made = document.createElement(kind);
  if (className) made.className = className;
  return made;
}

function makeBar(opacity) {
  const bar = element("label", "bar");
  const slider = element("input");
  Object.assign(slider, { type: "range", min: 0, max: 100, step: 1, value: Math.round(100 * opacity) });
  slider.setAttribute("aria-label", "Opacity of the heat-maps");
  const name = element("span");
  name.textContent = "Opacity";
  const tip = element("span", "tip");
  tip.textContent = "Press and hold a picture to see it without its map.";
  bar.append(name, slider, element("output"), makeLegend(), tip);
  return bar;
}

// Every map is stretched to its own strongest place, so the legend has no numbers.
function makeLegend() {
  const legend = element("span", "legend");
  const [least, scale, most] = [element("span"), element("span", "scale"), element("span")];
  least.textContent = "least";
  most.textContent = "most in this map";
  legend.append(least, scale, most);
  return legend;
}

function makeFigure() {
  const figure = element("figure");
  const stack = element("div", "stack");
  stack.append(element("img", "photo"), element("img", "map"));
  const caption = element("figcaption");
  caption.append(element("div", "title"), element("div", "detail"), element("div", "note"));
  figure.append(stack, caption);
  return figure;
}

// Only what differs is touched: pictures that stay do not flicker.
function setSource(image, source) {
  image.hidden = !source;
  if (source && image.getAttribute("src") !== source) image.src = source;
}

function fill(figure, panel, pixels) {
  const [photo, map] = figure.querySelectorAll("img");
  setSource(photo, pixels);
  setSource(map, panel.map);
  photo.alt = panel.map ? "" : panel.title;
  map.alt = panel.title;
  figure.querySelector(".title").textContent = panel.title;
  figure.querySelector(".detail").textContent = panel.detail;
  figure.querySelector(".note").textContent = panel.note;
}

export default function (component) {
  const { data, parentElement } = component;
  const root = parentElement.querySelector(".maps");
  if (!root.firstChild) root.append(makeBar(data.opacity), element("div", "row"));
  const [bar, row] = root.children;
  const slider = bar.querySelector("input");
  const show = () => {
    root.style.setProperty("--opacity", slider.value / 100);
    bar.querySelector("output").textContent = `${slider.value} %`;
  };
  slider.oninput = show;
  show();
  root.classList.toggle("coarse", data.coarse);
  bar.hidden = !data.panels.some((panel) => panel.map);
  // four are two pairs: the photo and what stands out, then both classes next to each other
  row.style.setProperty("--columns", data.panels.length === 4 ? 2 : Math.min(3, data.panels.length));
  while (row.children.length > data.panels.length) row.lastChild.remove();
  data.panels.forEach((panel, place) => {
    fill(row.children[place] ?? row.appendChild(makeFigure()), panel, data.pixels);
  });
}
