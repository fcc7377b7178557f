// What all pages share: search, tables that sort and filter, local times, how old the newest look is.
"use strict";
(() => {
  const root = document.body.dataset.root;

  // --- times -----------------------------------------------------------------------------------------------------
  const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
  const tell = (event) => {
    const time = event.target.closest?.("time");
    if (time && !time.title) time.title = `${local.format(new Date(time.dateTime))}, your time`;
  };
  document.addEventListener("pointerover", tell);

  const fresh = document.querySelector("[data-fresh]");
  if (fresh) {
    const hours = (Date.now() - Date.parse(fresh.dataset.fresh)) / 3.6e6;
    const text = hours < 1 ? "less than an hour" : hours < 48 ? `${Math.floor(hours)} h` : `${Math.floor(hours / 24)} days`;
    fresh.querySelector(".age").textContent = hours < 0 ? "" : ` (${text} ago)`;
    fresh.classList.toggle("stale", hours > 48);
  }

  // --- tables ----------------------------------------------------------------------------------------------------
  const NUMBER = /^-?\d+(\.\d+)?$/;
  const value = (row, place) => {
    const cell = row.cells[place];
    return cell.dataset.v ?? (cell.classList.contains("n") ? "" : cell.textContent.trim());
  };
  const compare = (a, b) => (NUMBER.test(a) && NUMBER.test(b) ? a - b : a < b ? -1 : a > b ? 1 : 0);

  const sort = (table, head, way) => {
    const place = head.cellIndex;
    const rows = [...table.tBodies[0].rows].map((row) => [value(row, place), row]);
    // What has no value stays last, whichever way.
    rows.sort(([a], [b]) => (a === "") - (b === "") || (a === "" ? 0 : compare(a, b) * (way === "ascending" ? 1 : -1)));
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", way);
    table.tBodies[0].append(...rows.map(([, row]) => row));
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    table.tHead.addEventListener("click", (event) => {
      const head = event.target.closest("button")?.closest("th");
      if (!head) return;
      const now = head.getAttribute("aria-sort");
      const first = head.classList.contains("n") && !head.dataset.low ? "descending" : "ascending";
      sort(table, head, now ? (now === "ascending" ? "descending" : "ascending") : first);
    });
  }
  for (const input of document.querySelectorAll("input.filter")) {
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/);
      for (const row of document.getElementById(input.dataset.table).tBodies[0].rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
      }
    });
  }

  // --- the first page: a day or a week ---------------------------------------------------------------------------
  const news = document.getElementById("news");
  if (news) {
    const buttons = [...document.querySelectorAll("#spans button")];
    const show = (span) => {
      news.className = span;
      for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.span === span));
      for (const section of news.querySelectorAll("section")) {
        const rows = [...section.querySelectorAll("tbody tr")].filter((row) => span === "week" || !row.matches(".older"));
        const some = rows.length > 0 || section.querySelector(".new") !== null;
        section.querySelector(".when-none").style.display = some ? "none" : "block";
        const scroll = section.querySelector(".scroll");
        if (scroll) scroll.hidden = rows.length === 0;
      }
    };
    for (const button of buttons) button.addEventListener("click", () => show(button.dataset.span));
    show("week");
  }

  // --- search ----------------------------------------------------------------------------------------------------
  const input = document.getElementById("search");
  const list = document.getElementById("found");
  const index = (globalThis.HISTORY_INDEX ?? []).map((entry) => [entry, `${entry[1]} ${entry[2]}`.toLowerCase()]);
  let chosen = -1;

  const close = () => {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    chosen = -1;
  };
  const choose = (place) => {
    const items = [...list.children];
    if (!items.length || items[0].dataset.file === undefined) return;
    chosen = (place + items.length) % items.length;
    items.forEach((item, at) => item.setAttribute("aria-selected", String(at === chosen)));
    items[chosen].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", items[chosen].id);
  };
  const find = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return close();
    const hits = index.filter(([, text]) => words.every((word) => text.includes(word)));
    // Names that begin with what was typed come first.
    const rank = ([entry, text]) => (text.startsWith(words[0]) ? 0 : text.split(/[/ :-]/).some((part) => part.startsWith(words[0])) ? 1 : 2) + (entry[0] === "provider" ? -0.5 : 0);
    hits.sort((a, b) => rank(a) - rank(b) || a[1].length - b[1].length);
    list.replaceChildren(
      ...hits.slice(0, 12).map(([[kind, name, , file]], place) => {
        const item = document.createElement("li");
        item.id = `found-${place}`;
        item.role = "option";
        item.dataset.file = file;
        item.setAttribute("aria-selected", "false");
        item.append(name, " ");
        const small = document.createElement("small");
        small.textContent = kind;
        item.append(small);
        return item;
      }),
    );
    if (!hits.length) {
      const item = document.createElement("li");
      item.role = "option";
      item.setAttribute("aria-disabled", "true");
      item.textContent = "Nothing of that name";
      list.append(item);
    }
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    choose(0);
  };
  const go = (item) => {
    if (item?.dataset.file) location.href = root + item.dataset.file;
  };
  input.addEventListener("input", find);
  input.addEventListener("focus", find);
  input.addEventListener("blur", () => setTimeout(close, 150));
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    if (list.hidden) return;
    if (event.key === "ArrowDown") choose(chosen + 1);
    else if (event.key === "ArrowUp") choose(chosen - 1);
    else if (event.key === "Enter") go(list.children[chosen]);
    else return;
    event.preventDefault();
  });
  list.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    go(event.target.closest("li"));
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.target.closest("input, select")) {
      event.preventDefault();
      input.focus();
    }
  });
})();
