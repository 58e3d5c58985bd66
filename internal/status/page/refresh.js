"use strict";
// Brings the page up to date in place. Elements that are still there stay the same elements, so that nothing flickers and the
// reader's place is kept.
const every = 2000, patience = 5000;
const lost = document.getElementById("lost");
const filter = document.getElementById("filter");
filter.addEventListener("change", () => filter.requestSubmit());
filter.querySelector("button").hidden = true;

async function refresh() {
  try {
    const answer = await fetch(location.href, {cache: "no-store", signal: AbortSignal.timeout(patience)});
    if (!answer.ok) throw answer.status;
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (next.body.dataset.started !== document.body.dataset.started) return location.reload(); // another daemon, with another page
    document.title = next.title;
    const place = scrollY > 0 ? document.elementFromPoint(innerWidth / 2, innerHeight / 2)?.closest("[id]") : null;
    const top = place?.getBoundingClientRect().top;
    for (const part of document.querySelectorAll("[data-live]")) {
      const to = next.getElementById(part.id);
      if (to && !(part === filter && part.contains(document.activeElement))) adapt(part, to);
    }
    filter.querySelector("button").hidden = true;
    lost.hidden = true;
    if (place?.isConnected) scrollBy(0, place.getBoundingClientRect().top - top);
  } catch {
    lost.hidden = false;
  }
  setTimeout(refresh, document.hidden ? 5 * every : every);
}

// adapt makes an element like another one, child by child; children with an id are the same if the id is.
function adapt(old, now) {
  for (const {name, value} of now.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const {name} of [...old.attributes]) if (!now.hasAttribute(name)) old.removeAttribute(name);
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
