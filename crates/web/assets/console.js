// Comfort on top of pages that work without it.

document.documentElement.classList.add("scripted");

// Copies what stands beside the button.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  const before = button.title;
  button.title = "Copied";
  button.setAttribute("aria-label", "Copied");
  setTimeout(() => {
    button.title = before;
    button.setAttribute("aria-label", before);
  }, 1500);
});

// Chips choose which kinds of lines are shown, also of lines that come later.
const choose = (chip) => {
  const list = document.getElementById(chip.dataset.list);
  const isPressed = chip.getAttribute("aria-pressed") === "true";
  list.classList.toggle("filtered", isPressed);
  for (const line of list.children) line.classList.toggle("shown", line.classList.contains(chip.dataset.only));
};
document.addEventListener("drawn", () => document.querySelectorAll('[data-only][aria-pressed="true"]').forEach(choose));
document.addEventListener("click", (event) => {
  const chip = event.target.closest("[data-only]");
  if (!chip) return;
  const wasPressed = chip.getAttribute("aria-pressed") === "true";
  for (const other of chip.parentElement.querySelectorAll("[data-only]")) other.setAttribute("aria-pressed", "false");
  chip.setAttribute("aria-pressed", String(!wasPressed));
  choose(chip);
});

// An action's page opens as a dialog over the page that it is about.
const dialog = document.createElement("dialog");
dialog.setAttribute("aria-labelledby", "action-title");
document.body.append(dialog);
dialog.addEventListener("click", (event) => {
  if (event.target === dialog || event.target.closest("[data-close]")) {
    event.preventDefault();
    dialog.close();
  }
});
const opened = async (address, options) => {
  const answer = await fetch(address, options).catch(() => undefined);
  // Why nothing comes, the browser says itself.
  if (!answer) return location.assign(address);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const form = page.getElementById("action");
  if (!form) return location.assign(answer.url);
  // The form is sent to the page that it came from, not to the one that it lies over.
  if (!form.hasAttribute("action")) form.action = answer.url;
  dialog.replaceChildren(form);
  if (!dialog.open) dialog.showModal();
};
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-dialog]");
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  opened(link.href);
});
dialog.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  opened(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
});

// One box chooses all others of its form.
document.addEventListener("change", (event) => {
  const all = event.target.closest("[data-all]");
  if (!all) return;
  for (const box of all.form.querySelectorAll(`input[type="checkbox"][name="${all.dataset.all}"]`)) box.checked = all.checked;
});

// Keys: / searches, g and a letter go somewhere, ? shows them.
let goes = false;
document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, textarea, select, dialog") || event.metaKey || event.ctrlKey || event.altKey) return;
  if (event.key === "/") {
    event.preventDefault();
    document.querySelector(".search input")?.focus();
  } else if (event.key === "?") {
    document.getElementById("keys")?.showModal();
  } else if (goes) {
    document.querySelector(`.nav [data-key="${CSS.escape(event.key)}"]`)?.click();
  }
  goes = event.key === "g";
});

// One menu is open at a time, and closes when something else is meant.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
});
