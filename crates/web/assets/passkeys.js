// Passkeys: what only a browser can do. The forms of a page say what is wanted; without this they are not shown, and there
// are passwords.

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer ?? []))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const keys = (form) => form.dataset.keys.split(" ").filter(Boolean).map((id) => ({ type: "public-key", id: bytes(id) }));

// What is to be signed is good for ten minutes, so that it is asked for when it is needed.
const challenge = async (form) => {
  const answer = await fetch(form.dataset.challenge ?? form.action);
  // Whoever is signed out meanwhile is led to where they sign in.
  if (answer.redirected) location.assign(answer.url);
  if (answer.redirected || !answer.ok) throw new Error("there is no challenge");
  return bytes(await answer.text());
};

const sent = (form, parts) => {
  for (const [name, part] of Object.entries(parts)) form.elements[name].value = text(part);
  form.submit();
};

const make = async (form) => {
  const { party, owner, email, name, algorithms } = form.dataset;
  const { response } = await navigator.credentials.create({
    publicKey: {
      challenge: await challenge(form),
      rp: { id: party, name: "Keywright" },
      user: { id: bytes(owner), name: email, displayName: name },
      pubKeyCredParams: algorithms.split(" ").map((alg) => ({ type: "public-key", alg: Number(alg) })),
      authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
      excludeCredentials: keys(form),
    },
  });
  sent(form, { client_data: response.clientDataJSON, attestation: response.attestationObject });
};

const use = async (form, how = {}) => {
  const { rawId, response } = await navigator.credentials.get({
    publicKey: {
      challenge: await challenge(form),
      rpId: form.dataset.party,
      allowCredentials: keys(form),
      userVerification: "required",
    },
    ...how,
  });
  sent(form, {
    credential: rawId,
    owner: response.userHandle,
    client_data: response.clientDataJSON,
    authenticator_data: response.authenticatorData,
    signature: response.signature,
  });
};

const WRONG = {
  NotAllowedError: "Nothing was chosen, or it took too long. Try again.",
  InvalidStateError: "This device has a passkey for you here already.",
  NotSupportedError: "This device makes no passkey of a kind that is known here. Use another one.",
};

// While the page waits for somebody to choose a passkey beside their e-mail address, no other question can be asked.
let waiting = new AbortController();
const offer = async (form) => {
  if (!(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
  waiting.abort();
  waiting = new AbortController();
  // Nobody has asked for anything, so that nobody is told that nothing came of it.
  await use(form, { mediation: "conditional", signal: waiting.signal }).catch(() => {});
};

const began = async (form) => {
  const wrong = form.querySelector(".wrong");
  wrong.hidden = true;
  waiting.abort();
  try {
    await (form.dataset.passkey === "make" ? make : use)(form);
  } catch (error) {
    wrong.textContent = WRONG[error.name] ?? "That did not work. Open the page anew and try again.";
    wrong.hidden = false;
    if (form.dataset.fills) offer(form);
  }
};

if (window.PublicKeyCredential) {
  for (const shown of document.querySelectorAll("[data-with-passkeys]")) shown.hidden = false;
  for (const hidden of document.querySelectorAll("[data-without-passkeys]")) hidden.hidden = true;
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      began(form);
    });
    if (!form.dataset.fills) continue;
    offer(form);
    setInterval(() => offer(form), 5 * 60_000);
  }
}
