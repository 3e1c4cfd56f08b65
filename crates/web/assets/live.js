// Parts of a page that are marked `data-live` are drawn anew: when the server says that something has changed, and, while
// something goes on, again and again until it is over. The page is asked for as always, and only these parts of it are taken;
// focus, open details and what stands elsewhere stay.

const main = document.getElementById("main");
const PAUSE = 1500;
// Nobody waits for ever.
const UNTIL = Date.now() + 10 * 60 * 1000;
let due;
let last = 0;

// How many items need a person is told to those who hear the page.
const told = document.createElement("p");
told.className = "hidden";
told.setAttribute("role", "status");
const bell = () => document.querySelector('[data-live="bell"]').textContent.trim();

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
  if (!answer?.ok || answer.redirected) return leave();
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (document.querySelector("dialog[open]") || typing()) return soon();
  const fresh = page.getElementById("main")?.dataset ?? {};
  main.dataset.stream = fresh.stream ?? main.dataset.stream ?? "";
  main.dataset.again = fresh.again ?? "";
  const before = bell();
  const parts = new Map([...page.querySelectorAll("[data-live]")].map((part) => [part.dataset.live, part]));
  for (const part of document.querySelectorAll("[data-live]")) {
    const anew = parts.get(part.dataset.live);
    if (!anew) part.hidden = true;
    else if (!anew.isEqualNode(part)) put(part, document.adoptNode(anew));
  }
  if (bell() !== before) told.textContent = bell();
  document.dispatchEvent(new CustomEvent("drawn"));
};

const soon = () => {
  due ??= setTimeout(draw, Math.max(0, last + PAUSE - Date.now()));
};

const again = () => {
  const wait = Number(main.dataset.again);
  if (!wait || Date.now() > UNTIL) return;
  setTimeout(() => draw().finally(again), wait);
};

// A browser has six connections to a server, whatever the number of its pages: one page listens and tells the others, and one
// that nobody sees lets another do it.
const name = `live ${location.pathname.split("/").slice(0, 4).join("/")}`;
const channel = new BroadcastChannel(name);
const AGAIN = 60_000;
let heard;
let waiting;
let end;

const hear = (marks) => {
  heard = marks;
  if (marks !== new URL(main.dataset.stream, location).searchParams.get("seen")) soon();
};

const listening = () =>
  new Promise((done) => {
    const source = new EventSource(main.dataset.stream);
    end = () => {
      source.close();
      end = undefined;
      done();
    };
    source.addEventListener("changed", ({ lastEventId }) => {
      hear(lastEventId);
      channel.postMessage({ marks: lastEventId });
    });
    // What a browser gives up is tried again much later: the server may have been stopping.
    source.addEventListener("error", () => {
      if (source.readyState !== EventSource.CLOSED) return;
      end?.();
      setTimeout(listen, AGAIN);
    });
  });

const leave = () => {
  waiting?.abort();
  end?.();
};

const listen = () => {
  leave();
  if (document.hidden) return;
  waiting = new AbortController();
  navigator.locks.request(name, { signal: waiting.signal }, listening).catch(() => undefined);
  // Whoever listens already says what was heard last.
  channel.postMessage({});
};

document.body.append(told);
again();
if (main.dataset.stream && navigator.locks) {
  channel.addEventListener("message", ({ data }) => {
    if (data.marks) hear(data.marks);
    else if (end && heard) channel.postMessage({ marks: heard });
  });
  document.addEventListener("visibilitychange", listen);
  addEventListener("pagehide", leave);
  addEventListener("pageshow", (event) => event.persisted && listen());
  listen();
}
