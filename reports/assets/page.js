(() => {
  "use strict";
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  document.documentElement.classList.add("js");

  document.addEventListener("click", (event) => {
    if (!event.target.matches(".copy")) return;
    const text = event.target.parentNode.querySelector("code, pre").textContent.trim();
    navigator.clipboard.writeText(text).then(() => { event.target.textContent = "copied"; });
  });

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
})();
