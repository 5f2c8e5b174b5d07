// Looks at the page it runs in, and returns what it finds as one object.
(() => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const paint = canvas.getContext("2d", { willReadFrequently: true });

  // rgba turns any CSS colour into [red, green, blue, alpha], 0 to 255 and 0 to 1.
  const known = new Map();
  const rgba = (colour) => {
    if (!known.has(colour)) {
      paint.clearRect(0, 0, 1, 1);
      paint.fillStyle = colour;
      paint.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = paint.getImageData(0, 0, 1, 1).data;
      known.set(colour, [r, g, b, a / 255]);
    }
    return known.get(colour);
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);

  // Relative luminance and contrast as WCAG 2.2 defines them.
  const luminance = (c) => {
    const [r, g, b] = c.slice(0, 3).map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (x, y) => {
    const [a, b] = [luminance(x), luminance(y)].sort((p, q) => q - p);
    return (a + 0.05) / (b + 0.05);
  };

  // behind is the colour that an element's text stands on.
  const behind = (element, base) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(getComputedStyle(e).backgroundColor);
    return layers.reverse().reduce((below, layer) => over(rgba(layer), below), base);
  };
  const opacity = (element) => {
    let o = 1;
    for (let e = element; e; e = e.parentElement) o *= Number(getComputedStyle(e).opacity);
    return o;
  };

  const faint = [];
  let texts = 0;
  const read = (doc, base) => {
    const walk = doc.createTreeWalker(doc.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      const node = walk.currentNode, element = node.parentElement, text = node.data.trim();
      if (!text || ["SCRIPT", "STYLE", "NOSCRIPT"].includes(element.tagName)) continue;
      if (!element.checkVisibility({ visibilityProperty: true })) continue;
      const range = doc.createRange();
      range.selectNodeContents(node);
      const box = range.getBoundingClientRect();
      if (box.width < 2 || box.height < 2) continue;
      texts++;
      const style = getComputedStyle(element), ground = behind(element, base);
      const ink = rgba(style.color).slice();
      ink[3] *= opacity(element);
      const ratio = contrast(over(ink, ground), ground);
      if (ratio < 4.5) {
        faint.push(`${ratio.toFixed(2)}: "${text.slice(0, 60)}" in ${element.tagName.toLowerCase()}.${element.className}, ${style.color} on rgb(${ground.slice(0, 3).map(Math.round)})`);
      }
    }
  };
  const probe = document.createElement("i");
  probe.style.color = "Canvas";
  document.body.append(probe);
  const paper = rgba(getComputedStyle(probe).color);
  probe.remove();
  read(document, paper);

  // wide are the elements that reach beyond the right edge and can be seen there.
  const wide = [];
  if (document.documentElement.scrollWidth > innerWidth) {
    for (const e of document.body.querySelectorAll("*")) {
      const right = e.getBoundingClientRect().right + scrollX;
      if (right > innerWidth + 1) wide.push(`${e.tagName.toLowerCase()}.${e.className} to ${Math.round(right)} px`);
    }
  }
  const headings = [...document.querySelectorAll("h1,h2,h3,h4,h5,h6")], levels = headings.map((h) => Number(h.tagName[1]));

  // alive is what a hostile update would like to be: something that runs or fetches.
  const runs = (e) => [...e.attributes].some((a) => a.name.startsWith("on") || /^\s*(javascript|vbscript|data):/i.test(a.value));
  const alive = [...document.querySelectorAll("main *")].filter((e) => ["SCRIPT", "IMG", "OBJECT", "EMBED", "STYLE", "LINK", "BASE"].includes(e.tagName) || runs(e));
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  return {
    title: document.title,
    language: document.documentElement.lang,
    ground: luminance(behind(document.body, paper)),
    innerWidth,
    scrollWidth: document.documentElement.scrollWidth,
    wide: wide.slice(0, 8),
    mains: document.querySelectorAll("main").length,
    h1: levels.filter((l) => l === 1).length,
    skipped: headings.filter((h, i) => i > 0 && levels[i] > levels[i - 1] + 1).map((h) => `${h.tagName} "${h.innerText}"`),
    twice: ids.filter((id, i) => ids.indexOf(id) !== i),
    nameless: [...document.querySelectorAll("a[href],button,input:not([type=hidden]),iframe,img,nav~nav")].filter((e) => e.checkVisibility() &&
      !(e.innerText || e.ariaLabel || e.title || e.alt || e.labels?.length || e.getAttribute("aria-labelledby"))).map((e) => e.outerHTML.slice(0, 100)),
    alive: alive.map((e) => e.outerHTML.slice(0, 200)),
    dangling: [...document.querySelectorAll("a[href^='#']")].map((a) => a.hash.slice(1)).filter((id) => !document.getElementById(id)),
    links: [...document.querySelectorAll("a[href],iframe[src]")].map((e) => (e.href || e.src).split("#")[0]).filter((u, i, all) => u.startsWith("http") && u.startsWith(location.origin + "/") && all.indexOf(u) === i),
    texts,
    faint,
    text: document.body.innerText,
  };
})()
