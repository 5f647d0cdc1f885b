// Sends dropped files and folders one by one. Names are user input: they are only ever set as text.

const AT_ONCE = 4;
const TRIES = 3;

function words(bytes) {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

function counted(number) {
  return `${number.toLocaleString("en")} file${number === 1 ? "" : "s"}`;
}

const readEntries = (reader) => new Promise((done, failed) => reader.readEntries(done, failed));
const fileOf = (entry) => new Promise((done, failed) => entry.file(done, failed));

// A folder returns its entries a hundred at a time.
async function walk(entry, prefix, found) {
  if (entry.isFile) {
    found.push({ name: prefix + entry.name, file: await fileOf(entry) });
    return;
  }
  const reader = entry.createReader();
  for (let part = await readEntries(reader); part.length; part = await readEntries(reader)) {
    for (const child of part) await walk(child, `${prefix}${entry.name}/`, found);
  }
}

async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const found = [];
  for (const entry of entries) await walk(entry, "", found);
  return found;
}

function chosen(input) {
  return [...input.files].map((file) => ({ name: file.webkitRelativePath || file.name, file }));
}

// Skip files that programs leave in folders.
function wanted({ name }) {
  return !name.split("/").some((part) => part.startsWith(".") || part === "__MACOSX" || part === "Thumbs.db");
}

function send(job, item) {
  return new Promise((done) => {
    const request = new XMLHttpRequest();
    let seen = 0;
    const count = (bytes) => {
      job.sent += bytes - seen;
      seen = bytes;
      job.draw();
    };
    const fail = (why, again) => {
      count(0);
      job.requests.delete(request);
      done({ why, again });
    };
    request.open("PUT", `${job.url}?name=${encodeURIComponent(item.name.normalize("NFC"))}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => count(Math.min(event.loaded, item.file.size));
    request.onload = () => {
      if (request.status === 200) {
        count(item.file.size);
        job.requests.delete(request);
        done(null);
        return;
      }
      let why = `the studio answered ${request.status}`;
      try {
        why = JSON.parse(request.responseText).error || why;
      } catch {
        // not from our upload route
      }
      fail(why, request.status >= 500 && request.status !== 507);
    };
    request.onerror = () => fail("the connection was lost", true);
    request.onabort = () => fail("stopped", false);
    job.requests.add(request);
    request.send(item.file);
  });
}

async function sendAll(job, items) {
  const queue = items.slice();
  const failed = [];
  const worker = async () => {
    for (let item = queue.shift(); item && !job.stopped; item = queue.shift()) {
      let trouble = await send(job, item);
      for (let attempt = 1; trouble?.again && attempt < TRIES && !job.stopped; attempt += 1) {
        await new Promise((done) => setTimeout(done, 500 * attempt));
        trouble = await send(job, item);
      }
      job.files += 1;
      if (trouble) failed.push([item.name, trouble.why]);
      job.draw();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return failed;
}

function tooMuch(items, data) {
  const total = items.reduce((sum, item) => sum + item.file.size, 0);
  const large = items.find((item) => item.file.size > data.maxFile);
  if (large) return `${large.name} has ${words(large.file.size)}; the limit for a file is ${words(data.maxFile)}.`;
  if (total > data.maxTotal) return `These are ${words(total)}; ${words(data.maxTotal)} can come at once.`;
  if (items.length > data.maxFiles) return `These are ${counted(items.length)}; ${counted(data.maxFiles)} can come at once.`;
  return "";
}

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const zone = parentElement.querySelector(".zone");
  const part = (name) => parentElement.querySelector(`.${name}`);
  const say = (text, trouble) => {
    part("note").textContent = text;
    part("note").classList.toggle("trouble", Boolean(trouble));
  };
  part("title").textContent = data.title;
  part("hint").textContent = data.hint;
  part("limits").textContent = data.limits;
  part("limits").hidden = !data.limits;
  zone.current = { data, setStateValue }; // what a running upload must use after the page was rerun

  const begin = async (gather) => {
    if (zone.job) return;
    const { data: now } = zone.current;
    say("Reading what was dropped …");
    const items = (await gather()).filter(wanted);
    const refused = items.length ? tooMuch(items, now) : "There is no file in it.";
    if (refused) return say(refused, true);
    const total = items.reduce((sum, item) => sum + item.file.size, 0);
    const job = { url: new URL(`${now.path}/${now.ticket}`, document.baseURI).href, sent: 0, files: 0 };
    Object.assign(job, { requests: new Set(), stopped: false });
    job.draw = () => {
      part("fill").style.width = `${total ? (100 * job.sent) / total : 100}%`;
      say(`${job.files.toLocaleString("en")} of ${counted(items.length)}, ${words(job.sent)} of ${words(total)}`);
    };
    zone.job = job;
    zone.classList.add("busy");
    const failed = await sendAll(job, items);
    zone.job = null;
    zone.classList.remove("busy");
    if (job.stopped || failed.length === items.length) {
      say(job.stopped ? "Stopped." : `Nothing could be uploaded: ${failed[0][1]}`, true);
      if (!job.stopped) return;
    } else {
      say(`${counted(items.length - failed.length)} arrived.`);
    }
    zone.current.setStateValue("done", {
      ticket: now.ticket,
      stopped: job.stopped,
      failed: failed.slice(0, 20),
      failedCount: failed.length,
    });
  };

  part("files").onclick = () => part("pick-files").click();
  part("folder").onclick = () => part("pick-folder").click();
  part("stop").onclick = () => {
    if (!zone.job) return;
    zone.job.stopped = true;
    for (const request of [...zone.job.requests]) request.abort();
  };
  for (const name of ["pick-files", "pick-folder"]) {
    part(name).onchange = (event) => {
      const picked = chosen(event.target);
      event.target.value = "";
      begin(async () => picked);
    };
  }
  zone.ondragover = (event) => {
    event.preventDefault();
    zone.classList.add("over");
  };
  zone.ondragleave = (event) => {
    if (!zone.contains(event.relatedTarget)) zone.classList.remove("over");
  };
  zone.ondrop = (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    const found = dropped(event.dataTransfer); // now: the entries are gone once this handler is over
    begin(() => found);
  };
}
