"use strict";
// Updates the page in place. Elements that remain stay the same elements, so that nothing flickers and the reader's place is kept.
const every = 2000, patience = 5000;
const lost = document.getElementById("lost");
const filters = document.querySelectorAll("form.filter");
const plot = document.getElementById("plot"), mark = document.getElementById("mark");
for (const filter of filters) filter.addEventListener("change", () => filter.requestSubmit());
for (const kind of ["mouseover", "focusin", "click"]) plot.addEventListener(kind, e => mark.textContent = e.target.closest(".mark")?.getAttribute("aria-label") ?? "");
hideButton();
let title = document.title;

// hideButton hides the filter's button, which only browsers without scripts need.
function hideButton() { document.querySelector("#filter button").hidden = true }

async function refresh() {
  try {
    const answer = await fetch(location.href, {cache: "no-store", signal: AbortSignal.timeout(patience)});
    if (!answer.ok) throw answer.status;
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (next.body.dataset.started !== document.body.dataset.started) return location.reload(); // another daemon, with another page
    document.title = title = next.title;
    document.body.classList.remove("stale");
    const place = scrollY > 0 ? document.elementFromPoint(innerWidth / 2, innerHeight / 2)?.closest("[id]") : null;
    const top = place?.getBoundingClientRect().top;
    for (const part of document.querySelectorAll("[data-live]")) {
      const to = next.getElementById(part.id);
      if (to && !(part.matches("form.filter") && part.contains(document.activeElement))) adapt(part, to);
    }
    hideButton();
    lost.hidden = true;
    if (place?.isConnected) scrollBy(0, place.getBoundingClientRect().top - top);
  } catch {
    lost.hidden = false;
    document.title = "? " + title;
    document.body.classList.add("stale");
  }
  setTimeout(refresh, document.hidden ? 5 * every : every);
}

// isReaders reports whether an attribute is the reader's choice: whether details are open that the reader has opened or closed.
function isReaders(element, attribute) { return attribute === "open" && element.chosen }
document.addEventListener("click", e => {
  const details = e.target.closest("summary")?.parentElement;
  if (details) details.chosen = true;
});

// adapt makes an element equal to another one, child by child. Children with an id are matched by it.
function adapt(old, now) {
  for (const {name, value} of now.attributes) if (old.getAttribute(name) !== value && !isReaders(old, name)) old.setAttribute(name, value);
  for (const {name} of [...old.attributes]) if (!isReaders(old, name) && !now.hasAttribute(name)) old.removeAttribute(name);
  const named = new Map([...old.children].filter(c => c.id).map(c => [c.id, c]));
  let at = old.firstChild;
  for (const want of [...now.childNodes]) {
    const alike = at && !at.id && at.nodeName === want.nodeName;
    const have = want.id ? named.get(want.id) : alike ? at : null;
    if (!have) {
      old.insertBefore(document.importNode(want, true), at);
      continue;
    }
    if (have === at) at = at.nextSibling;
    else old.insertBefore(have, at);
    if (have.nodeType === Node.TEXT_NODE) {
      if (have.data !== want.data) have.data = want.data;
    } else if (!have.isEqualNode(want)) adapt(have, want);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}
setTimeout(refresh, every);
