const data = (async () => {
  const text = document.getElementById("packed")?.textContent;
  if (!text) return {};
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
})();
