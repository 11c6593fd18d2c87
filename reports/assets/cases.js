data.then((given) => {
  "use strict";
  const form = document.querySelector(".filters");
  if (!form) return;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const made = (tag, given = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), given);
    element.append(...children);
    return element;
  };
  const table = document.querySelector(".cases");
  const heads = all("th", table);
  const body = table.tBodies[0];
  const selects = all("select", form);
  const count = form.querySelector("output");
  const { shown, columns, keys, rest } = given.table;
  const said = all(".said li");

  const inFull = (reference) => { // "4 (6.64)": the fourth note, its gaps filled
    const [, number, amounts] = reference.match(/^(\d+)(?: \((.*)\))?$/);
    const note = made("p", { className: "own" }, ...said[number - 1].cloneNode(true).childNodes);
    amounts?.split(", ").forEach((amount) => note.querySelector("var").replaceWith(amount));
    return note;
  };
  const again = (name) => {
    const code = document.querySelector(".again code").cloneNode(true);
    code.querySelector("var").replaceWith(name.replaceAll("'", `'"'"'`)); // as a shell quotes it
    return [code, made("button", { className: "copy", type: "button", textContent: "copy" })];
  };
  const nameOf = (cell) => (cell.firstChild?.data ?? "").trim();
  const folded = (row) => { // all but the name's first line folds away beneath it
    const cell = row.cells[0];
    const below = [...cell.children];
    const name = nameOf(cell);
    const details = made("details", {}, made("summary", { className: cell.className }, name), ...below);
    details.addEventListener("toggle", () => {
      for (const notes of all("p:not(.own)", details)) notes.replaceWith(...notes.textContent.match(/\d+(?: \([^)]*\))?/g).map(inFull));
      details.append(...again(name));
    }, { once: true });
    cell.removeAttribute("class");
    cell.replaceChildren(details);
    return row;
  };
  const drawn = ({ look, notes, own, trace, cells }) => {
    const row = made("tr", {}, ...cells.map((text) => made("td", {}, text)));
    const name = row.cells[0];
    name.className = look;
    if (notes) name.append(made("p", {}, notes));
    name.append(...own.map((note) => made("p", { className: "own" }, note)));
    if (trace) name.append(made("p", { className: "own" }, "A trace of its phases, for Perfetto: ", made("a", { href: form.dataset.beside + trace }, trace)));
    const last = row.cells[row.cells.length - 1];
    const word = last.textContent;
    if (word !== "ok") last.replaceChildren(made("span", { className: `v ${word === "missing" ? "miss" : "fail"}` }, word));
    return row;
  };

  const values = Object.fromEntries(Object.entries(keys).map(([name, runs]) =>
    [name, runs.flatMap(([value, times]) => Array(times).fill(String(value)))]));
  const text = (cell, place) => place ? cell.textContent.trim() : nameOf(cell);
  const rows = [
    ...[...body.rows].map((row) => ({ cells: [...row.cells].map(text), row: folded(row) })),
    ...rest.map(([look, notes, own, trace, ...cells]) => ({ look, notes, own, trace, cells })),
  ].map((entry, place) => ({ ...entry, place, name: entry.cells[0].toLowerCase() }));
  let order = rows;
  let limit = shown;

  const further = made("button", { className: "further noprint", type: "button" });
  table.after(further);
  const filter = () => {
    const words = form.q.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = selects.filter((select) => select.value).map(({ name, value, selectedOptions: [option] }) =>
      name in columns ? (row) => row.cells[columns[name]] === option.text : (row) => values[name][row.place] === value);
    const found = order.filter((row) => wanted.every((has) => has(row)) && words.every((word) => row.name.includes(word)));
    body.replaceChildren(...found.slice(0, limit).map((entry) => (entry.row ??= folded(drawn(entry)))));
    const left = found.length - limit;
    count.textContent = `${found.length} of ${rows.length}${left > 0 ? `, the first ${limit} shown` : ""}`;
    further.textContent = left > 0 ? `show ${Math.min(left, shown)} more of ${left}` : "";
    further.hidden = left <= 0;
  };
  further.addEventListener("click", () => { limit += shown; filter(); });

  const scale = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15 };
  const sort = (column, down) => {
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = ({ cells }) => {
      if (cells[column] === "" || cells[column] === "–") return null;
      const [, number, unit] = cells[column].match(/^[±ks]? ?([\d.]+) ?(%|B|[kMGTP]|[KMGT]iB)?$/) ?? [];
      return number === undefined ? cells[column] : number * (scale[unit] ?? 1);
    };
    const compare = (a, b) => (typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1);
    order = order.map((entry) => [key(entry), entry]).sort(([a], [b]) =>
      a === null || b === null ? (a === null) - (b === null) : (down ? -1 : 1) * compare(a, b)).map(([, entry]) => entry);
  };

  const save = () => {
    const state = new URLSearchParams();
    if (form.q.value) state.set("q", form.q.value);
    selects.forEach((select) => { if (select.value) state.set(select.name, select.selectedOptions[0].text); });
    const sorted = heads.findIndex((head) => head.hasAttribute("aria-sort"));
    if (sorted >= 0) state.set("sort", (heads[sorted].getAttribute("aria-sort") === "descending" ? "-" : "") + sorted);
    history.replaceState(null, "", `#${state.toString() ? `cases?${state}` : "cases"}`);
  };
  const restore = () => {
    const [place, query] = location.hash.slice(1).split("?");
    if (place !== "cases") return;
    const state = new URLSearchParams(query);
    form.q.value = state.get("q") ?? "";
    selects.forEach((select) => {
      const option = [...select.options].find((one) => one.text === state.get(select.name));
      select.value = option ? option.value : "";
    });
    const wanted = state.get("sort");
    if (wanted && heads[Math.abs(parseInt(wanted, 10))]) sort(Math.abs(parseInt(wanted, 10)), wanted.startsWith("-"));
    if (query) document.getElementById("cases").scrollIntoView();
  };

  form.addEventListener("input", () => { limit = shown; filter(); save(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    sort(column, head.getAttribute("aria-sort") === "ascending");
    filter();
    save();
  }));
  addEventListener("hashchange", () => { restore(); filter(); });
  restore();
  filter();
});
