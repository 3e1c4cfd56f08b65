// What goes on is looked at again until it is over; without this, its page has a link for that.

// Nobody waits for ever.
const until = Date.now() + 10 * 60 * 1000;

const again = () => {
  const wait = Number(document.getElementById("live")?.dataset.again);
  if (!wait || Date.now() > until) return;
  setTimeout(async () => {
    const answer = await fetch(location.pathname + location.search).catch(() => null);
    if (answer?.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of ["#live", ".bell"]) {
        const [now, before] = [page.querySelector(part), document.querySelector(part)];
        if (now && before && now.outerHTML !== before.outerHTML) before.replaceWith(now);
      }
    }
    again();
  }, wait);
};
again();
