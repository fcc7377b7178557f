// The page of a model: charts of prices and uptime on one time axis, and the ranking by a mix of tokens.
"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const DAY = 86400;
  const data = JSON.parse(document.getElementById("data").textContent);
  const zero = Date.parse(data.begin) / 1000;
  const end = Date.parse(data.end) / 1000 - zero;
  const days = Math.floor(end / DAY) + 1;
  const plots = document.getElementById("plots");
  const tip = document.getElementById("tip");
  const picked = new Set();
  const RIGHT = 10;
  let from = 0;
  let logarithmic = false;

  const make = (name, attributes, ...children) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };
  const usd = (value) => {
    if (value === 0) return "0";
    const decimals = value >= 1 ? 4 : 3 - Math.floor(Math.log10(value));
    const [whole, rest = ""] = value.toFixed(Math.min(decimals, 100)).replace(/0+$/, "").split(".");
    return `${whole}.${rest.padEnd(2, "0")}`;
  };
  // As in endpoint_history/site/output/numbers.py: blanks as wide as digits, so that points stand in line.
  const aligned = (text) => {
    const decimals = (text.split(".")[1] ?? "").length;
    return text + (decimals ? "" : "\u2008") + "\u2007".repeat(Math.max(0, 4 - decimals));
  };
  const date = (seconds) => new Date((zero + seconds) * 1000).toISOString().slice(0, 10);

  // --- where things lie ------------------------------------------------------------------------------------------
  const frame = () => {
    const gutter = parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--gutter"));
    const left = gutter * parseFloat(getComputedStyle(document.documentElement).fontSize);
    return { left, width: plots.clientWidth, inner: plots.clientWidth - left - RIGHT };
  };
  const until = () => days * DAY;
  const across = (at, box) => box.left + ((at - from) / (until() - from)) * box.inner;
  const moment = (x, box) => from + ((x - box.left) / box.inner) * (until() - from);

  const valueAt = (points, at) => {
    let low = 0;
    let high = points.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (points[middle][0] <= at) low = middle + 1;
      else high = middle;
    }
    return low && at <= end ? points[low - 1][1] : null;
  };

  const times = (box) => {
    const length = (until() - from) / DAY;
    const room = Math.max(2, Math.floor(box.inner / 90));
    const found = [];
    if (length > 75) {
      const months = Math.max(1, Math.ceil(length / 30.4 / room));
      const first = new Date((zero + from) * 1000);
      let month = Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + 1, 1);
      for (; month / 1000 - zero < until(); ) {
        found.push([month / 1000 - zero, new Date(month).toISOString().slice(0, 7)]);
        const at = new Date(month);
        month = Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + months, 1);
      }
    } else {
      const step = Math.max(1, Math.ceil(length / room)) * DAY;
      for (let at = Math.ceil(from / DAY) * DAY; at < until(); at += step) found.push([at, date(at).slice(5)]);
    }
    return found;
  };

  const scale = (low, high, height) => {
    const top = 8;
    const bottom = height - 6;
    if (logarithmic && high > 0) {
      const least = Math.log10(low) - 0.04;
      const most = Math.log10(high) + 0.04;
      const span = most - least || 1;
      const steps = span > 1.5 ? [1] : span > 0.7 ? [1, 2, 5] : [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8];
      const ticks = [];
      for (let power = Math.floor(least); power <= Math.ceil(most); power++) {
        for (const step of steps) {
          const value = step * 10 ** power;
          if (Math.log10(value) >= least && Math.log10(value) <= most) ticks.push(value);
        }
      }
      return { y: (v) => (v <= 0 ? bottom : bottom - ((Math.log10(v) - least) / span) * (bottom - top)), ticks, bottom };
    }
    const raw = (high || 1) / 4;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = power * [1, 2, 2.5, 5, 10].find((s) => s * power >= raw);
    const most = Math.ceil((high || 1) / step - 1e-9) * step;
    const ticks = [];
    for (let n = 0; n * step <= most * 1.0001; n++) ticks.push(n * step);
    return { y: (v) => bottom - (v / most) * (bottom - top), ticks, bottom };
  };

  // --- drawing ---------------------------------------------------------------------------------------------------
  const seen = (points) => {
    const before = valueAt(points, from);
    return [before, ...points.filter(([at]) => at > from).map(([, value]) => value)].filter((value) => value !== null);
  };
  const curve = (points, box, y) => {
    let path = "";
    let pen = false;
    points.forEach(([at, value], place) => {
      const next = Math.min(points[place + 1]?.[0] ?? end, end);
      if (next < from) return;
      if (value === null) {
        pen = false;
        return;
      }
      const [x, till] = [across(Math.max(at, from), box).toFixed(1), across(next, box).toFixed(1)];
      path += pen ? `V${y(value).toFixed(1)}H${till}` : `M${x} ${y(value).toFixed(1)}H${till}`;
      pen = true;
    });
    return path;
  };
  const drawPlot = (figure, box) => {
    const key = data.keys.find((item) => item.key === figure.dataset.key);
    const canvas = figure.querySelector(".canvas");
    const height = canvas.clientHeight;
    const drawn = data.series.map((series, place) => [series, place]).filter(([series]) => series.prices[key.key]);
    const values = drawn.flatMap(([series]) => seen(series.prices[key.key]));
    const charged = values.filter((value) => value > 0);
    const { y, ticks, bottom } = scale(Math.min(...charged), Math.max(0, ...charged), height);
    const now = drawn.map(([series]) => valueAt(series.prices[key.key], end)).filter((value) => value !== null);
    const words = now.length ? `now ${usd(Math.min(...now))} to ${usd(Math.max(...now))}` : "none now";
    const label = `${key.name} price of ${drawn.length} endpoints from ${date(from)} to ${date(end)}, ${key.unit}: ${words}`;
    const svg = make("svg", { role: "img", "aria-label": label });
    for (const tick of ticks) {
      svg.append(make("path", { class: tick ? "grid" : "base", d: `M${box.left} ${y(tick).toFixed(1)}H${box.left + box.inner}` }));
      svg.append(make("text", { x: box.left - 8, y: y(tick) + 4, "text-anchor": "end" }, usd(tick)));
    }
    for (const [at] of times(box)) {
      const x = across(at, box).toFixed(1);
      svg.append(make("path", { class: "grid", d: `M${x} 8V${bottom}` }));
    }
    for (const [series, place] of drawn.reverse()) {
      const dim = picked.size && !picked.has(place) ? " dim" : "";
      svg.append(make("path", { class: `curve ${series.style}${dim}`, d: curve(series.prices[key.key], box, y) }));
    }
    // Where nobody looked, lines fade: the price before may have held, or not.
    for (const [begin, until] of data.gaps) {
      const [x, till] = [across(Math.max(begin, from), box), across(until, box)];
      if (until > from && till - x >= 1) svg.append(make("rect", { class: "unseen", x, y: 0, width: till - x, height: bottom - 1 }));
    }
    canvas.replaceChildren(svg);
  };
  const drawAxes = (box) => {
    const axis = document.getElementById("axis");
    axis.replaceChildren(
      ...times(box)
        .filter(([at]) => across(at, box) < box.left + box.inner - 20)
        .map(([at, text]) => make("text", { x: across(at, box).toFixed(1), y: 15, "text-anchor": "start" }, text)),
    );
    const definitions = document.getElementById("definitions");
    definitions.replaceChildren();
    const redefined = (Date.UTC(2026, 9, 8) / 1000 - zero - from) / (until() - from);
    const wide = box.inner;
    const names = wide > 420 ? ["share of requests", "share of minutes"] : ["requests", "minutes"];
    const least = wide > 420 ? 115 : 62;
    if (redefined > 0 && redefined < 1) {
      const x = redefined * wide;
      definitions.append(make("path", { class: "split", d: `M${x.toFixed(1)} 2V22` }));
      if (x > least) definitions.append(make("text", { x: x - 6, y: 15, "text-anchor": "end" }, names[0]));
      if (wide - x > least) definitions.append(make("text", { x: x + 6, y: 15 }, names[1]));
    } else {
      definitions.append(make("text", { x: 0, y: 15 }, names[redefined <= 0 ? 1 : 0]));
    }
  };
  const draw = () => {
    const box = frame();
    for (const figure of plots.querySelectorAll(".plot:not([hidden])")) drawPlot(figure, box);
    drawAxes(box);
    const first = from / DAY;
    for (const strip of plots.querySelectorAll(".strip")) strip.setAttribute("viewBox", `${first} 0 ${days - first} 1`);
    plots.querySelectorAll(".strip-row").forEach((row, place) => row.classList.toggle("dim", picked.size > 0 && !picked.has(place)));
    hide();
  };

  // --- what was when ---------------------------------------------------------------------------------------------
  const cursor = document.createElement("div");
  cursor.className = "cursor";
  cursor.hidden = true;
  plots.append(cursor);
  let at = null;

  const shownKeys = () => [...plots.querySelectorAll(".plot:not([hidden])")].map((figure) => figure.dataset.key);
  const told = () => {
    const keys = shownKeys();
    const day = Math.floor(at / DAY);
    const rows = data.series
      .map((series, place) => ({
        place,
        name: series.name,
        prices: keys.map((key) => (series.prices[key] ? valueAt(series.prices[key], at) : null)),
        uptime: series.uptime[day] ?? null,
      }))
      .filter((row) => (picked.size ? picked.has(row.place) : row.prices.some((price) => price !== null) || row.uptime !== null));
    const cheap = (row) => row.prices[0] ?? Infinity;
    return rows.sort((a, b) => cheap(a) - cheap(b) || 0);
  };
  const uptimeText = (value) => (value === null ? "not seen" : value < 0 ? "no number" : `${value.toFixed(2)} %`);
  const cell = (name, text) => {
    const element = document.createElement(name);
    element.textContent = text;
    return element;
  };
  const row = (...cells) => {
    const element = document.createElement("tr");
    element.append(...cells);
    return element;
  };
  const show = (seconds, spoken) => {
    const box = frame();
    at = Math.min(Math.max(seconds, from), end);
    const x = across(at, box);
    cursor.hidden = false;
    cursor.style.left = `${x}px`;
    const rows = told();
    const table = document.createElement("table");
    const names = shownKeys().map((key) => data.keys.find((item) => item.key === key).name);
    table.append(row(cell("th", ""), ...names.map((name) => cell("th", name)), cell("th", "Uptime")));
    for (const item of rows.slice(0, 14)) {
      const prices = item.prices.map((price) => cell("td", price === null ? "—" : usd(price)));
      table.append(row(cell("td", item.name), ...prices, cell("td", uptimeText(item.uptime))));
    }
    const unseen = data.gaps.some(([begin, until]) => begin < at && at < until) ? ", nobody looked" : "";
    const clock = new Date((zero + at) * 1000).toISOString().slice(0, 16).replace("T", " ");
    tip.replaceChildren(cell("b", `${clock} UTC${unseen}`), table);
    if (rows.length > 14) tip.append(cell("span", `and ${rows.length - 14} more`));
    tip.hidden = false;
    const room = tip.offsetWidth + 14;
    tip.style.left = `${x + room < box.width ? x + 14 : Math.max(0, x - room)}px`;
    if (spoken) {
      const words = rows.slice(0, 8).map((item) => `${item.name}: ${item.prices.map((p) => (p === null ? "none" : usd(p))).join(" and ")}, uptime ${uptimeText(item.uptime)}`);
      document.getElementById("tip-words").textContent = `${date(at)}${unseen}. ${words.join(". ")}`;
    }
  };
  const hide = () => {
    tip.hidden = true;
    cursor.hidden = true;
  };
  plots.addEventListener("pointermove", (event) => {
    const box = frame();
    const x = event.clientX - plots.getBoundingClientRect().left;
    if (x < box.left - 2 || x > box.left + box.inner + RIGHT) hide();
    else show(moment(x, box));
  });
  plots.addEventListener("pointerleave", hide);
  plots.addEventListener("keydown", (event) => {
    if (event.target !== plots) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") hide();
    if (!step) return;
    event.preventDefault();
    show((cursor.hidden ? end : at) + step * Math.max(DAY / 24, (until() - from) / 90), true);
  });

  // --- what is shown ---------------------------------------------------------------------------------------------
  const ranges = [...document.querySelectorAll("#tools .ranges button")];
  const setRange = (length) => {
    from = length && length < days ? (days - length) * DAY : 0;
    for (const button of ranges) button.setAttribute("aria-pressed", String(Number(button.dataset.days) === length));
    draw();
  };
  for (const button of ranges) button.addEventListener("click", () => setRange(Number(button.dataset.days)));
  const more = document.getElementById("more");
  more?.addEventListener("change", () => {
    const figure = document.getElementById("more-plot");
    const key = data.keys.find((item) => item.key === more.value);
    figure.hidden = !key;
    if (key) {
      figure.dataset.key = key.key;
      const unit = document.createElement("small");
      unit.textContent = key.unit;
      figure.querySelector("figcaption").replaceChildren(`${key.name} `, unit);
    }
    draw();
  });
  document.getElementById("log").addEventListener("change", (event) => {
    logarithmic = event.target.checked;
    draw();
  });
  for (const button of plots.querySelectorAll(".pick")) {
    button.addEventListener("click", () => {
      const place = Number(button.dataset.series);
      if (!picked.delete(place)) picked.add(place);
      button.setAttribute("aria-pressed", String(picked.has(place)));
      draw();
    });
  }
  setRange(days > 120 ? 90 : 0);
  new ResizeObserver(() => draw()).observe(plots);

  // --- the cheapest by a mix of tokens -----------------------------------------------------------------------------
  const mix = document.getElementById("mix");
  if (!mix) return;
  const DECIMALS = 66; // more than any price that is read has; whole numbers, as doubles would rank near prices wrongly
  const exact = (text) => {
    if (!text) return null; // it varies: that is no price, and above all not 0
    const [whole, rest = ""] = text.split(".");
    return BigInt(whole + rest.padEnd(DECIMALS, "0"));
  };
  const table = document.getElementById("prices");
  const offers = [...table.tBodies[0].rows].map((line) => ({
    line,
    prompt: exact(line.dataset.prompt),
    completion: exact(line.dataset.completion),
    ranked: "ranked" in line.dataset,
    provider: line.dataset.provider,
    route: line.dataset.route,
  }));
  const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  const rank = () => {
    const share = BigInt(mix.value);
    for (const offer of offers) {
      const told = offer.prompt !== null && offer.completion !== null;
      offer.cost = told ? share * offer.prompt + (100n - share) * offer.completion : null;
    }
    const sorted = [...offers].sort(
      (a, b) =>
        (a.cost === null) - (b.cost === null) ||
        (a.cost === null ? 0 : order(a.cost, b.cost)) ||
        order(a.provider, b.provider) ||
        order(a.route, b.route),
    );
    let place = 0;
    sorted.forEach((offer, number) => {
      const [rankCell, mixCell] = [offer.line.querySelector(".rank"), offer.line.querySelector(".mixed")];
      if (offer.cost === null) return;
      mixCell.textContent = aligned(usd(Number(offer.cost) / 100 / 10 ** (DECIMALS - 6)));
      mixCell.dataset.v = number;
      if (offer.ranked) {
        place += 1;
        rankCell.textContent = place;
        rankCell.dataset.v = place;
      }
    });
    document.getElementById("mix-is").textContent = `${mix.value} % prompt, ${100 - mix.value} % answer`;
    const best = sorted.find((offer) => offer.ranked && offer.cost !== null);
    document.getElementById("mix-best").textContent = best
      ? `Cheapest: ${best.line.dataset.name}, ${best.line.querySelector(".mixed").textContent.trim()}`
      : "";
    const head = table.tHead.querySelector("[aria-sort]");
    if (head && (head.cellIndex === 0 || head.cellIndex === 2)) {
      const lines = sorted.map((offer) => offer.line);
      table.tBodies[0].append(...(head.getAttribute("aria-sort") === "ascending" ? lines : lines.reverse()));
    }
  };
  mix.addEventListener("input", rank);
  rank();
})();
