"use strict";
// The table of services: search, filters, order, pages; copying of commands; and looking again where the page is served.
// Texts are set as text, never as markup.
(() => {
  const ROWS_A_PAGE = 25;
  const [ID, NAME, SLUG, EVENT_TYPE, STANDING, REASON, REMEDY, QUOTED, NOTE, FIELDS] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
  const find = (id) => document.getElementById(id);
  const text = (value) => document.createTextNode(value);
  const make = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };

  let data;
  let haystacks;
  const read = () => {
    data = JSON.parse(find("services-data").textContent);
    haystacks = [];
  };
  const haystack = (place) => {
    if (haystacks[place] === undefined) {
      const row = data.rows[place];
      const reason = row[REASON] === undefined ? "" : data.texts[row[REASON]];
      haystacks[place] = [row[ID], row[NAME], row[SLUG], row[EVENT_TYPE] ?? "", reason].join("\n").toLowerCase();
    }
    return haystacks[place];
  };

  const state = { words: "", standings: new Set(), page: 0, column: "", down: false };
  const asHash = () => {
    const said = new URLSearchParams();
    if (state.words) said.set("q", state.words);
    if (state.standings.size) said.set("s", [...state.standings].join(","));
    if (state.page) said.set("p", String(state.page + 1));
    const hash = said.toString();
    history.replaceState(null, "", hash ? "#" + hash : location.pathname + location.search);
  };
  const fromHash = () => {
    const said = new URLSearchParams(location.hash.slice(1));
    const known = data.standings.map(([key]) => key);
    state.words = said.get("q") || "";
    state.standings = new Set((said.get("s") || "").split(",").filter((key) => known.includes(key)));
    state.page = Math.max(0, (parseInt(said.get("p"), 10) || 1) - 1);
  };

  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  const keys = {
    service: (row) => row[NAME] || row[ID],
    type: (row) => String(row[EVENT_TYPE] ?? ""),
  };
  const chosen = () => {
    const words = state.words.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = state.standings;
    const found = [];
    for (let place = 0; place < data.rows.length; place += 1) {
      if (wanted.size && !wanted.has(data.standings[data.rows[place][STANDING]][0])) continue;
      if (words.length && !words.every((word) => haystack(place).includes(word))) continue;
      found.push(place);
    }
    const key = keys[state.column];
    if (key) found.sort((a, b) => collator.compare(key(data.rows[a]), key(data.rows[b])));
    if (state.down) found.reverse();
    return found;
  };

  const command = ([what, line], quoted) => {
    const code = make("code", {}, text(line.replaceAll("{service}", quoted)));
    const runs = make("span", { class: "line" }, code, copier(code));
    return make("span", { class: "command" }, make("span", { class: "soft small" }, text(what)), runs);
  };
  const copier = (code) => {
    const button = make("button", { type: "button", class: "copy" }, text("Copy"));
    button.append(make("span", { class: "unseen" }, text(" " + code.textContent)));
    return button;
  };
  const details = (row, place) => {
    const inside = make("div", { class: "inside" });
    const [sentence, commands] = data.remedies[row[REMEDY]];
    if (row[NOTE]) inside.append(make("p", { class: "soft" }, text(row[NOTE])));
    if (row[FIELDS].length) {
      const head = ["Field", "Here", "Cal.com", "Last agreed"].map((name) => make("th", { scope: "col" }, text(name)));
      const lines = row[FIELDS].map(([name, ...values]) =>
        make("tr", {}, make("th", { scope: "row" }, text(name)), ...values.map((value) => make("td", {}, text(value)))));
      const table = make("table", { class: "diff" }, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...lines));
      inside.append(make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "What differs" }, table));
    }
    inside.append(make("p", {}, text(sentence)));
    const quoted = row[QUOTED] || row[ID];
    if (commands.length) inside.append(make("div", { class: "commands" }, ...commands.map((one) => command(one, quoted))));
    return make("tr", { class: "more", id: "more-" + place }, make("td", { colspan: "5" }, inside));
  };

  const opened = new Set();
  const line = (place) => {
    const row = data.rows[place];
    const [key, name] = data.standings[row[STANDING]];
    const title = make("span", { class: "title" }, text(row[NAME] || "(no name)"));
    const about = row[SLUG] ? row[ID] + " · " + row[SLUG] : row[ID];
    const service = make("td", { class: "c1" }, title, make("br"), make("span", { class: "soft small" }, text(about)));
    const type = make("td", { class: "c2" });
    if (row[EVENT_TYPE] !== null) {
      const number = text(String(row[EVENT_TYPE]));
      const page = data.eventTypePage;
      type.append(page ? make("a", { href: page + row[EVENT_TYPE], rel: "noreferrer" }, number) : number);
    }
    const reason = row[REASON] === undefined ? "" : data.texts[row[REASON]];
    const why = make("td", { class: "c3" }, ...(reason ? [text(reason)] : []));
    const last = make("td", { class: "c4" });
    if (row[REASON] !== undefined) {
      const is = opened.has(row[ID]);
      const label = make("span", { class: "unseen" }, text(" of " + (row[NAME] || row[ID])));
      const open = make("button", { type: "button", class: "open", "aria-expanded": String(is), "data-row": String(place) });
      open.append(text("What to do"), label);
      last.append(open);
    }
    const badge = make("span", { class: "badge " + key }, text(name));
    return make("tr", {}, make("td", { class: "c0" }, badge), service, type, why, last);
  };

  const show = () => {
    const found = chosen();
    const pages = Math.max(1, Math.ceil(found.length / ROWS_A_PAGE));
    state.page = Math.min(state.page, pages - 1);
    const first = state.page * ROWS_A_PAGE;
    const lines = [];
    for (const place of found.slice(first, first + ROWS_A_PAGE)) {
      lines.push(line(place));
      if (opened.has(data.rows[place][ID]) && data.rows[place][REASON] !== undefined) lines.push(details(data.rows[place], place));
    }
    find("services-rows").replaceChildren(...lines);
    const count = (number) => number.toLocaleString("en");
    const last = Math.min(first + ROWS_A_PAGE, found.length);
    const all = found.length === data.rows.length ? "" : " (of " + count(data.rows.length) + ")";
    find("services-said").textContent = found.length
      ? count(first + 1) + " to " + count(last) + " of " + count(found.length) + " services" + all
      : "No service fits" + (data.rows.length ? "." : ": there is none.");
    find("page-before").disabled = state.page === 0;
    find("page-after").disabled = state.page >= pages - 1;
    for (const button of document.querySelectorAll(".filter")) {
      button.setAttribute("aria-pressed", String(state.standings.has(button.dataset.standing)));
    }
    for (const head of document.querySelectorAll("[data-sort]")) {
      const order = head.dataset.sort !== state.column ? "none" : state.down ? "descending" : "ascending";
      head.setAttribute("aria-sort", order);
    }
    asHash();
  };

  const filterBy = (standing) => {
    state.standings = new Set([standing]);
    state.words = find("search").value = "";
    state.page = 0;
    show();
    find("services").scrollIntoView();
    find("search").focus({ preventScroll: true });
  };
  const sortBy = (column) => {
    state.down = state.column === column ? !state.down : false;
    state.column = column;
    state.page = 0;
    show();
  };
  const toggle = (standing) => {
    if (!state.standings.delete(standing)) state.standings.add(standing);
    state.page = 0;
    show();
  };
  const turn = (by) => {
    state.page += by;
    show();
    find("services").scrollIntoView();
  };
  const unfold = (button) => {
    const place = Number(button.dataset.row);
    const id = data.rows[place][ID];
    if (opened.delete(id)) find("more-" + place).remove();
    else {
      opened.add(id);
      button.closest("tr").after(details(data.rows[place], place));
    }
    button.setAttribute("aria-expanded", String(opened.has(id)));
  };
  const copy = async (button) => {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.firstChild.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.firstChild.textContent = "Marked";
    }
    setTimeout(() => { button.firstChild.textContent = "Copy"; }, 1500);
  };

  // --- looking again ------------------------------------------------------------------------------------------------
  // What is unfolded stays so, and who is there with the keyboard stays there.
  const replace = (old, part) => {
    if (old.isEqualNode(part)) return;
    const focusable = "a, button, summary, [tabindex]";
    const focused = [...old.querySelectorAll(focusable)].indexOf(document.activeElement);
    const unfolded = [...old.querySelectorAll("details")].map((one) => one.open);
    old.replaceWith(part);
    part.querySelectorAll("details").forEach((one, place) => { one.open = unfolded[place] || false; });
    if (focused >= 0) part.querySelectorAll(focusable)[focused]?.focus({ preventScroll: true });
  };
  const refresh = async () => {
    const said = find("refreshed");
    try {
      const answer = await fetch(location.pathname, { credentials: "same-origin", cache: "no-store" });
      if (answer.redirected) { location.reload(); return; }
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.title = fresh.title;
      for (const part of fresh.querySelectorAll("[data-part]")) {
        replace(document.querySelector('[data-part="' + part.dataset.part + '"]'), part);
      }
      read();
      show();
      said.textContent = "";
    } catch (error) {
      said.textContent = "Could not look again; this is older.";
    }
  };
  const keepFresh = () => {
    const seconds = Number(document.documentElement.dataset.refresh || 0);
    if (seconds) setInterval(() => { if (document.visibilityState === "visible") refresh(); }, seconds * 1000);
  };
  const tellAge = () => {
    const hours = (Date.now() - Date.parse(document.documentElement.dataset.made)) / 3600000;
    if (document.documentElement.dataset.live || hours < 1) return;
    const old = hours < 48 ? Math.floor(hours) + " h" : Math.floor(hours / 24) + " days";
    find("refreshed").textContent = "This file was made " + old + " ago.";
  };

  const actions = [
    [".copy", copy],
    [".open", unfold],
    [".filter", (button) => toggle(button.dataset.standing)],
    [".sort", (button) => sortBy(button.parentElement.dataset.sort)],
    ["[data-show]", (button) => filterBy(button.dataset.show)],
    ["#page-before", () => turn(-1)],
    ["#page-after", () => turn(1)],
    ["#refresh", refresh],
  ];
  document.addEventListener("click", (event) => {
    for (const [selector, act] of actions) {
      const button = event.target.closest(selector);
      if (button) { act(button); return; }
    }
  });
  find("search").addEventListener("input", (event) => {
    state.words = event.target.value;
    state.page = 0;
    show();
  });
  addEventListener("hashchange", () => { fromHash(); find("search").value = state.words; show(); });

  read();
  fromHash();
  find("search").value = state.words;
  show();
  tellAge();
  keepFresh();
})();
