// What a reader would stumble over on the open page: a list of sentences, empty when all is well.
(async () => {
  for (const fold of document.querySelectorAll("details")) fold.open = true;
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  const found = [], style = node => getComputedStyle(node);
  const words = text => JSON.stringify(text.trim().replace(/\s+/g, " ").slice(0, 60));

  const texts = [], boxes = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode, holder = node.parentElement;
    if (!node.data.trim() || /SCRIPT|STYLE/.test(holder.tagName)) continue;
    if (style(holder).visibility === "hidden" || holder.closest("thead") && hidden(holder)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const rects = [...range.getClientRects()].filter(r => r.width > 0 && r.height > 0);
    if (!rects.length) continue;
    texts.push([node, holder]);
    for (const r of rects) boxes.push([r, node]);
  }

  // headings that a phone does not show are kept for screen readers, clipped to nothing
  function hidden(node) {
    for (let n = node; n; n = n.parentElement) if (style(n).clipPath === "inset(50%)") return true;
    return false;
  }

  boxes.sort((a, b) => a[0].top - b[0].top);
  for (let i = 0; i < boxes.length; i++)
    for (let j = i + 1; j < boxes.length && boxes[j][0].top < boxes[i][0].bottom - 3; j++) {
      const [a, m] = boxes[i], [b, n] = boxes[j];
      if (m === n) continue;
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (across > 2 && down > 3) found.push(`overlap: ${words(m.data)} and ${words(n.data)}`);
    }

  for (const [node, holder] of texts) {
    for (let n = holder; n && n !== document.body; n = n.parentElement) {
      const cut = (axis, more) => /hidden|clip/.test(style(n)["overflow" + axis]) && more > 1;
      if (cut("X", n.scrollWidth - n.clientWidth) || cut("Y", n.scrollHeight - n.clientHeight)) {
        found.push(`cut off: ${words(node.data)}`);
        break;
      }
    }
    if (parseFloat(style(holder).fontSize) < 11) found.push(`too small: ${words(node.data)}`);
    const ratio = contrast(parse(style(holder).color), behind(holder));
    if (ratio < 4.5) found.push(`contrast ${ratio.toFixed(1)}: ${words(node.data)}`);
  }

  // colours as Chromium writes them: rgb(r, g, b), rgba(r, g, b, a)
  function parse(text) { const c = text.match(/[\d.]+/g).map(Number); return [...c, 1].slice(0, 4); }
  function over(top, under) { return [0, 1, 2].map(i => top[i] * top[3] + under[i] * (1 - top[3])); }
  function behind(node) {
    const layers = [];
    for (let n = node; n; n = n.parentElement) layers.push(parse(style(n).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
  }
  function light(c) {
    const [r, g, b] = c.map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  }
  function contrast(ink, paper) {
    const [a, b] = [light(over(ink, paper)), light(paper)].sort((x, y) => y - x);
    return (a + .05) / (b + .05);
  }

  for (const image of document.images) {
    if (image.alt.trim().length < 10) found.push(`without words: image ${words(image.alt)}`);
    await image.decode().catch(() => 0);
    if (!image.naturalWidth || image.clientWidth < 100) found.push(`empty: ${words(image.alt)}`);
    else if (plain(image)) found.push(`of one colour: ${words(image.alt)}`);
    if (image.clientWidth > 0 && image.naturalWidth < image.clientWidth) found.push(`blurred: ${words(image.alt)}`);
  }
  function plain(image) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const draw = canvas.getContext("2d");
    draw.drawImage(image, 0, 0);
    const pixels = new Uint32Array(draw.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
    return pixels.every(pixel => pixel === pixels[0]);
  }

  const page = document.documentElement;
  if (page.scrollWidth > page.clientWidth + 1)
    found.push(`wider than the window by ${page.scrollWidth - page.clientWidth}`);
  return found;
})()
