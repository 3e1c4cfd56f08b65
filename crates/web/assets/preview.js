// Shows what is being written while it is written. Without this, a button does.

const PAUSE_MS = 400;

for (const form of document.querySelectorAll("form[data-preview]")) {
  const name = form.dataset.preview;
  const button = form.querySelector(`[formtarget="${name}"]`);
  let shown = form.querySelector(`iframe[name="${name}"]`);
  let coming;
  let timer;
  let count = 0;

  // The new frame is filled behind the one that is looked at, and takes its place when it has something to show. A new one has
  // no past either, so that nothing is added to the way back.
  const look = () => {
    coming?.remove();
    coming = shown.cloneNode();
    coming.removeAttribute("src");
    coming.name = `${name}-${++count}`;
    coming.classList.add("coming");
    shown.after(coming);
    const frame = coming;
    const taken = () => {
      if (frame !== coming) return;
      frame.removeEventListener("load", taken);
      shown.remove();
      frame.classList.remove("coming");
      shown = frame;
      coming = undefined;
    };
    const { target, action } = form;
    form.target = frame.name;
    form.action = button.formAction;
    frame.addEventListener("load", taken);
    form.submit();
    form.target = target;
    form.setAttribute("action", action);
  };

  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE_MS);
  };
  form.addEventListener("input", (event) => {
    if (event.target.name === "view") look();
    else if (event.target.name !== "note") soon();
  });
  button.addEventListener("click", (event) => {
    event.preventDefault();
    look();
  });

  // A name is put where somebody was writing last.
  let last = form.querySelector("#intro");
  form.addEventListener("focusin", (event) => {
    if (event.target.matches("#subject, #intro, #text, #html")) last = event.target;
  });
  form.addEventListener("click", (event) => {
    const text = event.target.closest("[data-insert]")?.dataset.insert;
    if (!text) return;
    last.setRangeText(text, last.selectionStart, last.selectionEnd, "end");
    last.focus();
    soon();
  });

  look();
}
