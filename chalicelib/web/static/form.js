// The start form: what is wrong is said at its field as one goes, files go straight to the bucket, and nothing is sent twice.
const form = document.querySelector("[data-start-form]");
const state = form?.querySelector("[data-form-state]");

function say(field, message) {
  const box = field.closest(".field");
  const title = box.querySelector("label").firstChild.textContent.trim();
  box.classList.toggle("wrong", Boolean(message));
  box.querySelector("[data-error]").textContent = message ? (title ? `${title}: ${message}` : message) : "";
  if (message) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
}

function check(field) {
  if (field.type === "file") {
    const most = Number(field.dataset.most || Infinity);
    const file = field.files[0];
    say(field, file && file.size > most ? `at most ${most.toLocaleString()} bytes, not ${file.size.toLocaleString()}` : "");
  } else {
    say(field, field.validity.valid ? "" : field.validationMessage);
  }
}

form?.addEventListener("change", (event) => event.target.closest(".field") && check(event.target));
form?.addEventListener("input", (event) => {
  const field = event.target;
  if (field.dataset.confirm !== undefined) {
    const right = field.value.trim() === field.dataset.confirm;
    if (right || field.hasAttribute("aria-invalid")) say(field, right ? "" : `type ${field.dataset.confirm}`);
  } else if (field.hasAttribute("aria-invalid")) check(field);
});

form?.addEventListener("submit", async (event) => {
  if (form.dataset.sent) return event.preventDefault();
  const files = [...form.querySelectorAll("input[type=file]")].filter((field) => field.files.length);
  form.dataset.sent = "1";
  if (!files.length) return;
  event.preventDefault();
  const button = event.submitter;
  for (const other of form.querySelectorAll("button")) other.disabled = true;
  try {
    for (const field of files) await upload(field);
  } catch {
    // The bucket cannot be reached from here (an old rule for other origins, a proxy): the form carries the files itself.
    for (const field of files) field.disabled = false, form.querySelector(`input[data-uploaded="${field.id}"]`)?.remove();
  }
  for (const other of form.querySelectorAll("button")) other.disabled = false;
  delete form.dataset.sent;
  state.textContent = "";
  send(button);
});

function send(button) {
  // Not requestSubmit: that would come through the listener above again.
  form.dataset.sent = "1";
  if (button?.hasAttribute("formaction")) form.action = button.formAction;
  form.submit();
}

// Coming back by the browser's button, the form may be sent again.
addEventListener("pageshow", () => delete form?.dataset.sent);

async function upload(field) {
  const file = field.files[0];
  const answer = await fetch(form.dataset.uploads, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ name: file.name, size: file.size }),
  });
  if (!answer.ok) throw new Error(String(answer.status));
  const place = await answer.json();
  const body = new FormData();
  for (const [name, value] of Object.entries(place.fields)) body.append(name, value);
  body.append("file", file);
  state.textContent = `Uploading ${file.name}`;
  await post(place.url, body, field.closest(".field").querySelector("progress"));
  const hidden = document.createElement("input");
  hidden.type = "hidden";
  hidden.name = field.name;
  hidden.dataset.uploaded = field.id;
  hidden.value = JSON.stringify({ name: place.name, key: place.key });
  field.before(hidden);
  field.disabled = true; // its bytes need not go a second time
}

function post(url, body, bar) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    bar.hidden = false;
    request.upload.onprogress = (event) => (bar.value = event.total ? event.loaded / event.total : 0);
    request.onload = () => (request.status < 300 ? resolve() : reject(new Error(String(request.status))));
    request.onerror = request.ontimeout = () => reject(new Error("network"));
    request.send(body);
  });
}
