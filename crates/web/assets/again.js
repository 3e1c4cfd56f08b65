// What goes on is looked at again until it is over; without this, its page has a link for that.

// Nobody waits for ever.
const until = Date.now() + 10 * 60 * 1000;

// Nothing moves under somebody who decides or writes.
const busy = () =>
  document.querySelector("dialog[open]") || document.activeElement?.matches("#live :is(input, textarea, select)");

const draw = async () => {
  if (busy()) return;
  const answer = await fetch(location.pathname + location.search).catch(() => null);
  if (!answer?.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (busy()) return;
  for (const part of ["#live", ".bell"]) {
    const [now, before] = [page.querySelector(part), document.querySelector(part)];
    if (now && before && now.outerHTML !== before.outerHTML) before.replaceWith(now);
  }
};

const again = () => {
  const wait = Number(document.getElementById("live")?.dataset.again);
  if (!wait || Date.now() > until) return;
  setTimeout(async () => {
    await draw();
    again();
  }, wait);
};
again();
