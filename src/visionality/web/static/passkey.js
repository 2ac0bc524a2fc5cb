// Forms with data-passkey ask the browser for a passkey before they are sent. Without script they stay hidden or say so.
"use strict";
for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!window.PublicKeyCredential) continue;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    if (form.elements.credential.value) return;
    event.preventDefault();
    const wrong = form.querySelector("[role=alert]");
    wrong.hidden = true;
    try {
      form.elements.credential.value = JSON.stringify(await passkey(form));
      form.requestSubmit();
    } catch (error) {
      wrong.textContent = `The browser gave no passkey: ${error.message}`;
      wrong.hidden = false;
    }
  });
}

async function passkey(form) {
  if (form.dataset.passkey === "create") return webauthnJSON.create(resident(options().creation_options));
  if (form.dataset.passkey === "get") return webauthnJSON.get(options().request_options);
  const answer = await fetch(form.action, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error("too many tries; wait a minute");
  return webauthnJSON.get((await answer.json()).request_options);
}

function options() {
  return JSON.parse(document.getElementById("passkey-options").textContent);
}

function resident(creation) {
  Object.assign(creation.publicKey.authenticatorSelection, {
    residentKey: "required", requireResidentKey: true, userVerification: "required",
  });
  return creation;
}
