// Parts of a page that are marked `data-live` are drawn anew when the server says that something has changed. The page is
// asked for as always, and only these parts of it are taken; focus, open details and what stands elsewhere stay.

const main = document.querySelector("[data-stream]");
const PAUSE = 1500;
let source;
let due;
let last = 0;

const place = (part) => {
  const within = part.contains(document.activeElement) ? document.activeElement : undefined;
  const focusable = [...part.querySelectorAll("a, button, summary, input, select, [tabindex]")];
  const same = (one) => one.tagName === within.tagName && one.getAttribute("href") === within.getAttribute("href");
  return {
    focus: within && { same, number: focusable.filter(same).indexOf(within) },
    open: [...part.querySelectorAll("details")].map((details) => details.open),
    scrolled: [...part.querySelectorAll(".scroll")].map((box) => box.scrollTop),
  };
};

const put = (part, fresh) => {
  const { focus, open, scrolled } = place(part);
  fresh.querySelectorAll("details").forEach((details, number) => (details.open = open[number] ?? details.open));
  part.replaceWith(fresh);
  fresh.querySelectorAll(".scroll").forEach((box, number) => (box.scrollTop = scrolled[number] ?? 0));
  if (!focus) return;
  const candidates = [...fresh.querySelectorAll("a, button, summary, input, select, [tabindex]")].filter(focus.same);
  (candidates[focus.number] ?? candidates[0])?.focus({ preventScroll: true });
};

const typing = () => document.activeElement?.matches("[data-live] :is(input, textarea, select)");

const draw = async () => {
  due = undefined;
  // Nothing moves under somebody who decides or writes.
  if (document.querySelector("dialog[open]") || typing()) return soon();
  last = Date.now();
  const answer = await fetch(location.href, { headers: { accept: "text/html" } }).catch(() => undefined);
  // Signed out, or not there any more: the next click says so.
  if (!answer?.ok || answer.redirected) return source?.close();
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (document.querySelector("dialog[open]") || typing()) return soon();
  main.dataset.stream = page.querySelector("[data-stream]")?.dataset.stream ?? main.dataset.stream;
  const parts = new Map([...page.querySelectorAll("[data-live]")].map((part) => [part.dataset.live, part]));
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = parts.get(part.dataset.live);
    if (!fresh) part.hidden = true;
    else if (!fresh.isEqualNode(part)) put(part, document.adoptNode(fresh));
  }
  document.dispatchEvent(new CustomEvent("drawn"));
};

const soon = () => {
  due ??= setTimeout(draw, Math.max(0, last + PAUSE - Date.now()));
};

// A page that nobody sees does not listen: a browser has few connections to a server.
const listen = () => {
  source?.close();
  source = undefined;
  if (document.hidden) return;
  source = new EventSource(main.dataset.stream);
  source.addEventListener("changed", soon);
};

if (main) {
  document.addEventListener("visibilitychange", listen);
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", (event) => event.persisted && listen());
  listen();
}
