"use strict";
// Talks to the API of the server that it came from, and to nothing else.

const LONGEST_EXPLAINED = 1024;
const $ = (id) => document.getElementById(id);
let turns = []; // of the chat that is shown
let model = null; // what the server says of the chosen model
let running = null; // the AbortController of the answer that is being made

/** An element with text or children; text never becomes markup. */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

async function call(path, body, signal) {
  const options = { signal };
  if (body) {
    options.method = "POST";
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path, options);
  if (response.ok) return response;
  const told = await response.json().catch(() => null);
  throw new Error(told?.error?.message ?? `The server answered ${response.status}.`);
}

// Models

async function listModels() {
  const listed = await (await call("v1/models")).json();
  for (const one of listed.data.filter((card) => !card.alias_of)) {
    $("model").append(make("option", { value: one.id, textContent: one.id }));
  }
  await chooseModel();
}

async function chooseModel() {
  const name = $("model").value;
  const told = await (await call("v1/models/" + name.split("/").map(encodeURIComponent).join("/"))).json();
  if ($("model").value !== name) return; // another was chosen meanwhile
  model = told;
  $("about").textContent = about(told);
  allowSending();
  $("thinking").disabled = !told.template?.thinking;
  if (told.status === "loading") setTimeout(() => chooseModel().catch(fail), 1000);
}

function allowSending() {
  const ready = model?.status === "ready" && !model.embedding;
  $("send").disabled = !ready || Boolean(running);
}

function about(told) {
  if (told.embedding) return "makes vectors for /v1/embeddings and does not chat";
  if (told.status !== "ready") return told.reason ? `${told.status}: ${told.reason}` : told.status;
  return `on ${told.backend}, context ${told.context_length} tokens`;
}

function fail(error) {
  $("about").textContent = error.message;
}

// A turn

function request() {
  const system = $("system").value.trim();
  const messages = system ? [{ role: "system", content: system }, ...turns] : [...turns];
  const body = { model: model.id, messages };
  if ($("temperature").value) body.temperature = Number($("temperature").value);
  if ($("longest").value) body.max_tokens = Number($("longest").value);
  if (model.capabilities?.seed?.support !== "refused") {
    body.seed = crypto.getRandomValues(new Uint32Array(1))[0];
  }
  if ($("thinking").value && model.template?.thinking) {
    body.chat_template_kwargs = { enable_thinking: $("thinking").value === "on" };
  }
  return body;
}

async function ask(text) {
  $("ideas").hidden = true;
  const chat = turns; // "New chat" may replace it while this answer is being made
  chat.push({ role: "user", content: text });
  $("log").append(make("article", { className: "user" }, make("p", { textContent: text })));
  const body = request();
  const view = answerView();
  const own = (running = new AbortController());
  busy(true);
  try {
    const answer = await stream(body, view, own.signal);
    chat.push({ role: "assistant", content: answer });
    view.article.append(wayView(body, answer));
  } catch (error) {
    const stopped = error.name === "AbortError";
    view.note.textContent = stopped ? "stopped" : error.message;
    view.note.classList.toggle("error", !stopped);
    const begun = view.text.textContent;
    if (stopped && begun) {
      chat.push({ role: "assistant", content: begun });
    } else {
      chat.pop(); // as if it had not been asked
      if (chat === turns) $("message").value ||= text;
    }
  } finally {
    running = null;
    busy(false);
  }
}

function busy(yes) {
  $("log").setAttribute("aria-busy", yes); // read it out when it is whole
  allowSending();
  $("stop").hidden = !yes;
  $("model").disabled = yes;
}

function answerView() {
  const text = make("p");
  const thought = make("p");
  const thinking = make("details", { className: "thinking", hidden: true, open: true },
    make("summary", { textContent: "Thinking" }), thought);
  const note = make("small", { textContent: "…" });
  const article = make("article", {}, thinking, text, note);
  $("log").append(article);
  article.scrollIntoView({ block: "end" });
  return { article, text, thinking, thought, note };
}

/** Shows an answer as it comes; gives its text. */
async function stream(body, view, signal) {
  const sent = performance.now();
  let first = 0;
  let finish = "";
  let usage = null;
  const asked = { ...body, stream: true, stream_options: { include_usage: true } };
  for await (const chunk of events(await call("v1/chat/completions", asked, signal))) {
    if (chunk.error) throw new Error(chunk.error.message);
    usage = chunk.usage ?? usage;
    const choice = chunk.choices[0];
    if (!choice) continue;
    const { content, reasoning_content: thought } = choice.delta;
    if (content || thought) first ||= performance.now();
    if (thought) {
      view.thinking.hidden = false;
      view.thought.append(thought);
    }
    if (content) {
      view.text.append(content);
      view.article.scrollIntoView({ block: "end" });
    }
    finish = choice.finish_reason ?? finish;
  }
  view.note.textContent = summary(usage, finish, first - sent, performance.now() - first);
  return view.text.textContent;
}

function summary(usage, finish, waited, took) {
  const parts = [];
  if (usage) {
    const count = usage.completion_tokens;
    parts.push(`${count} tokens`);
    if (count > 1 && took > 0) parts.push(`${(((count - 1) * 1000) / took).toFixed(0)} tokens/s`);
    parts.push(`context ${usage.total_tokens} of ${model.context_length}`);
  }
  if (waited > 0) parts.push(`first after ${waited.toFixed(0)} ms`);
  if (finish === "length") parts.push("cut off: no room for more");
  return parts.join(" · ");
}

/** The JSON of each server-sent event until [DONE]. */
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error("The connection ended before the answer did.");
    const whole = (rest + value).split("\n\n");
    rest = whole.pop();
    for (const event of whole) {
      if (!event.startsWith("data: ")) continue; // a comment that keeps the connection alive
      const data = event.slice(6);
      if (data === "[DONE]") return;
      yield JSON.parse(data);
    }
  }
}

// The way of a request

function wayView(body, answer) {
  const place = make("div");
  const view = make("details", {},
    make("summary", { className: "quiet", textContent: "How this answer came about" }), place);
  view.addEventListener("toggle", async () => {
    if (!view.open || place.childElementCount) return;
    place.append(make("p", { className: "quiet", textContent: "running it once more …" }));
    try {
      const long = body.max_tokens > LONGEST_EXPLAINED;
      const asked = long ? { ...body, max_tokens: LONGEST_EXPLAINED } : body;
      showWay(await (await call("explain", asked)).json(), answer, place);
    } catch (error) {
      place.replaceChildren(make("p", { className: "error", textContent: error.message }));
    }
  });
  return view;
}

function showWay(way, answer, place) {
  const same = answer === way.content || (way.finish === "length" && answer.startsWith(way.content));
  place.replaceChildren(
    make("p", { className: "quiet", textContent: same
      ? "The same request with the same seed, run once more."
      : "Run once more, the answer is another one: this engine does not repeat itself." }),
    ...section(1, "What a client sends: messages as JSON", way.files.request, json(way.request)),
    ...section(2, "The model's chat template makes one text of them", way.files.template,
      make("pre", { textContent: way.template })),
    ...section(3, `The text becomes ${way.cut} prompt ids`, way.files.prompt, promptIds(way)),
    ...section(4, `The model adds ${way.output.length} ids, one at a time`, way.files.output,
      idRow(way), candidates(way), make("p", { className: "quiet", textContent: ending(way) })),
    ...section(5, "The new ids become text, without control tokens", way.files.text,
      ...(way.reasoning ? [make("pre", { className: "thinking", textContent: way.reasoning })] : []),
      make("pre", { textContent: way.content })),
    ...section(6, "What the client gets: one JSON", way.files.wire, json(way.completion),
      make("p", { textContent: "or, streamed, events:" }),
      make("pre", { textContent: way.stream.join("\n\n") })),
  );
}

function section(number, title, files, ...content) {
  return [
    make("h3", { textContent: `${number}  ${title}` }),
    make("p", { className: "quiet", textContent: files.join(", ") }),
    ...content,
  ];
}

function json(value) {
  return make("pre", { textContent: JSON.stringify(value, null, 2) });
}

function shown(token) {
  return token.control ? token.text : JSON.stringify(token.text);
}

function promptIds(way) {
  return make("div", { className: "ids" }, ...way.prompt.map((token) =>
    make("span", { className: token.control ? "control" : "", textContent:
      `${token.ids.join(" ")} ${shown(token)}` })));
}

function idRow(way) {
  const cells = way.ids.map((id) => make("span", { textContent: id }));
  cells.splice(way.cut, 0, make("span", { className: "cut", textContent: `cut at ${way.cut}` }));
  return make("div", { className: "ids" }, ...cells);
}

function candidates(way) {
  const percent = (token) =>
    token.probability === null ? "" : `${(100 * token.probability).toFixed(1)}%`;
  const row = (cells, tag) => make("tr", {}, ...cells.map((textContent) => make(tag, { textContent })));
  const rows = way.output.map((token, index) => row([
    way.cut + index, token.id, shown(token), percent(token),
    token.alternatives.map((other) => `${shown(other)} ${percent(other)}`).join(", "),
  ], "td"));
  const head = row(["place", "id", "text", "probability", "nearest others"], "th");
  return make("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "Chosen ids" },
    make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)));
}

function ending(way) {
  if (way.finish === "length") return "It was cut off there.";
  const ends = way.stop_ids.join(" or ");
  return `Then it chose a stop id (${ends}), which ends the answer and is no part of it.`;
}

// Controls

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("message").value.trim();
  if (!text || running || $("send").disabled) return;
  $("message").value = "";
  ask(text);
});

$("message").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("form").requestSubmit();
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") running?.abort();
});

$("stop").addEventListener("click", () => running?.abort());

$("anew").addEventListener("click", () => {
  running?.abort();
  turns = [];
  $("log").replaceChildren();
  $("ideas").hidden = false;
  $("message").focus();
});

$("model").addEventListener("change", () => chooseModel().catch(fail));

for (const idea of $("ideas").querySelectorAll("button")) {
  idea.addEventListener("click", () => {
    $("message").value = idea.textContent;
    $("form").requestSubmit();
  });
}

listModels().catch(fail);
