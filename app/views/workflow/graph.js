// A workflow as boxes and arrows; a box can be chosen. Names are user input: they are only ever set as text.

function element(kind, className, text) {
  const made = document.createElement(kind);
  made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function box(facts) {
  const made = element("button", "node");
  made.type = "button";
  made.dataset.id = facts.id;
  made.title = facts.help;
  made.classList.toggle("leads", facts.leads);
  const title = element("div", "title", facts.title);
  if (facts.changed) title.append(element("span", "changed", " ●"));
  made.append(title);
  for (const [name, value] of facts.facts) {
    const line = element("div", "fact");
    if (name) line.append(element("span", "name", name));
    line.append(element("span", "value", value));
    made.append(line);
  }
  return made;
}

function show(root) {
  for (const node of root.children) node.setAttribute("aria-pressed", String(node.dataset.id === root.chosen));
}

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const root = parentElement.querySelector(".graph");
  const focused = root.contains(root.getRootNode().activeElement) ? root.getRootNode().activeElement.dataset.id : null;
  const drawn = JSON.stringify(data.nodes);
  if (root.drawn !== drawn) root.replaceChildren(...data.nodes.map(box));
  root.drawn = drawn;
  if (!data.nodes.some((node) => node.id === root.chosen)) root.chosen = data.selected;
  show(root);
  if (focused) [...root.children].find((node) => node.dataset.id === focused)?.focus();
  root.onclick = (event) => {
    const node = event.target.closest(".node");
    if (!node || node.dataset.id === root.chosen) return;
    root.chosen = node.dataset.id;
    show(root);
    setStateValue("selected", root.chosen);
  };
  root.onkeydown = (event) => {
    const step = { ArrowLeft: "previousElementSibling", ArrowRight: "nextElementSibling" }[event.key];
    if (step) event.target.closest(".node")?.[step]?.focus();
  };
}
