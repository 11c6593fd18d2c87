(() => {
  "use strict";
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  document.documentElement.classList.add("js");

  document.addEventListener("click", (event) => {
    if (!event.target.matches(".copy")) return;
    const text = event.target.parentNode.querySelector("code, pre").textContent.trim();
    navigator.clipboard.writeText(text).then(() => { event.target.textContent = "copied"; });
  });
  document.addEventListener("toggle", ({ target }) => {
    if (!target.matches(".cases details") || !target.open || target.querySelector(".copy")) return;
    const code = document.querySelector(".again code").cloneNode(true);
    const name = target.querySelector("summary").textContent.replaceAll("'", `'"'"'`); // as a shell quotes it
    code.querySelector("var").replaceWith(name);
    const button = Object.assign(document.createElement("button"), { className: "copy", type: "button", textContent: "copy" });
    target.append(code, button);
  }, true);

  all("section table").forEach((table) => {
    const named = [table.closest("section"), table.closest("details") ?? table];
    table.ariaLabel = named.map((one) => one.querySelector("b, summary, th").textContent).join(": ");
  });

  const links = new Map(all(".rail a").map((link) => [link.hash.slice(1), link]));
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      links.forEach((link) => link.classList.remove("on"));
      links.get(entry.target.id)?.classList.add("on");
    }
  }, { rootMargin: "-10% 0px -75% 0px" });
  all("[id]").forEach((element) => { if (links.has(element.id)) observer.observe(element); });

  const form = document.querySelector(".filters");
  if (!form) return;
  const table = document.querySelector(".cases");
  const heads = all("th", table);
  const rows = all("tbody tr", table).map((row) => ({ row, text: row.querySelector("summary").textContent.toLowerCase(), has: row.dataset.f.split(",") }));
  const selects = all("select", form);
  const count = form.querySelector("output");

  const scale = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15 };

  const filter = () => {
    const wanted = selects.map((select, place) => [place, select.value]).filter(([, value]) => value);
    const words = form.q.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { row, text, has } of rows) {
      const keep = wanted.every(([place, value]) => has[place] === value) && words.every((word) => text.includes(word));
      row.hidden = !keep;
      shown += keep;
    }
    count.textContent = `${shown} of ${rows.length}`;
  };

  const sort = (column, down) => {
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = ({ row }) => {
      const cell = row.cells[column];
      const text = cell.textContent.trim();
      if (text === "" || text === "–") return null;
      const [, number, unit] = text.match(/^[±ks]? ?([\d.]+) ?(%|B|[kMGTP]|[KMGT]iB)?$/) ?? [];
      return number === undefined ? text : number * (scale[unit] ?? 1);
    };
    const order = (a, b) => (typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1);
    rows.map((entry) => [key(entry), entry]).sort(([a], [b]) =>
      a === null || b === null ? (a === null) - (b === null) : (down ? -1 : 1) * order(a, b)
    ).forEach(([, entry]) => table.tBodies[0].append(entry.row));
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

  form.addEventListener("input", () => { filter(); save(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    sort(column, head.getAttribute("aria-sort") === "ascending");
    save();
  }));
  addEventListener("hashchange", () => { restore(); filter(); });
  restore();
  filter();
})();
