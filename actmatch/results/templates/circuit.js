// The edges of a circuit, and the node that is pointed at or focused. `element` holds the drawing.
let drawn = null, written = null, edges = [], here = null;
const nodesOf = (column) => [...column.querySelectorAll('.am-node')];
const columns = () => [...drawn.querySelectorAll('.am-stage')];
const placeOf = (node) => {
    const stages = columns(), column = stages.indexOf(node.closest('.am-stage'));
    return [column, nodesOf(stages[column]).indexOf(node)];
};
const draw = () => {
    if (!drawn) return;
    const svg = drawn.querySelector('.am-stages > svg'), frame = svg.getBoundingClientRect();
    if (!frame.width) return;
    const stacked = getComputedStyle(svg.parentNode).flexDirection === 'column';
    const boxes = columns().map((one) => nodesOf(one).map((node) => node.getBoundingClientRect()));
    svg.innerHTML = edges.map(([column, from, to, , strength], n) => {
        const a = boxes[column][from], b = boxes[column + 1][to];
        const [x1, y1, x2, y2] = (stacked
            ? [a.left + a.width / 2, a.bottom, b.left + b.width / 2, b.top]
            : [a.right, a.top + a.height / 2, b.left, b.top + b.height / 2]
        ).map((place, axis) => (place - (axis % 2 ? frame.top : frame.left)).toFixed(1));
        const half = stacked ? (+y1 + +y2) / 2 : (+x1 + +x2) / 2;
        const bend = stacked ? `${x1} ${half} ${x2} ${half}` : `${half} ${y1} ${half} ${y2}`;
        return `<path data-n="${n}" d="M${x1} ${y1}C${bend} ${x2} ${y2}" ` +
            `stroke-width="${(0.3 + 3.2 * strength).toFixed(2)}" opacity="${(0.1 + 0.7 * strength).toFixed(2)}"/>`;
    }).join('');
    mark();
};
const mark = () => {
    const [column, place] = here ? placeOf(here) : [-9, -9];
    drawn.querySelector('.am-stages > svg').classList.toggle('am-dim', !!here);
    drawn.querySelectorAll('path').forEach((path) => {
        const [from, source, target] = edges[path.dataset.n];
        path.classList.toggle('am-hot',
            (from === column && source === place) || (from === column - 1 && target === place));
    });
};
const said = (title, found) => {
    if (!found.length) return null;
    const line = document.createElement('li');
    line.textContent = `${title}: ` + found.slice(0, 4).map(([name, before, after]) =>
        `${name}: ${(100 * after).toFixed(0)} % (${(100 * before).toFixed(0)} %)`).join(', ');
    return line;
};
const show = (node) => {
    if (!drawn || node === here) return;
    drawn.querySelectorAll('.am-here').forEach((each) => each.classList.remove('am-here'));
    drawn.querySelectorAll('.am-node[tabindex="0"]').forEach((each) => { each.tabIndex = -1; });
    here = node;
    node.classList.add('am-here');
    node.tabIndex = 0;
    mark();
    const stages = columns(), [column, place] = placeOf(node), stage = stages[column];
    const count = nodesOf(stage).length;
    ['photograph', 'explanation'].forEach((name, row) => {
        const tile = drawn.querySelector(`[data-${name}]`);
        tile.dataset.own ??= tile.style.backgroundImage;
        tile.style.backgroundImage = stage.dataset.tiles ? `url(${stage.dataset.tiles})` : tile.dataset.own;
        tile.style.backgroundSize = stage.dataset.tiles ? `${100 * count}% 200%` : 'cover';
        tile.style.backgroundPosition = stage.dataset.tiles
            ? `${count > 1 ? 100 * place / (count - 1) : 0}% ${100 * row}%` : '0 0';
    });
    const photograph = drawn.querySelector('[data-photograph]').dataset.own;
    const side = +drawn.dataset.side, patches = drawn.querySelector('.am-patches');
    patches.replaceChildren(...JSON.parse(node.dataset.patches).map(([left, upper, size], n) => {
        const tile = document.createElement('div'), spare = Math.max(side - size, 1);
        tile.className = 'am-tile';
        tile.setAttribute('role', 'img');
        tile.setAttribute('aria-label', `Patch ${n + 1} that excites it most`);
        tile.style.backgroundImage = photograph;
        tile.style.backgroundSize = `${100 * side / size}%`;
        tile.style.backgroundPosition = `${100 * left / spare}% ${100 * upper / spare}%`;
        return tile;
    }));
    const words = drawn.querySelector('.am-circuit-words'), title = document.createElement('b');
    title.textContent = node.getAttribute('aria-label');
    const list = document.createElement('ul');
    const name = (where, at) => nodesOf(stages[where])[at].textContent;
    const strongest = (rows) => rows.sort((one, other) => other[2] - one[2]);
    const from = strongest(edges.filter(([at, , target]) => at === column - 1 && target === place)
        .map(([at, source, , before, after]) => [name(at, source), before, after]));
    const to = strongest(edges.filter(([at, source]) => at === column && source === place)
        .map(([at, , target, before, after]) => [name(at + 1, target), before, after]));
    list.append(...[said('Strongest edges from', from), said('to', to)].filter(Boolean));
    words.replaceChildren(title, list);
};
const STEPS = {ArrowDown: [0, 1], ArrowUp: [0, -1], ArrowRight: [1, 0], ArrowLeft: [-1, 0]};
element.addEventListener('mouseover', (event) => {
    const node = event.target.closest('.am-node');
    if (node) show(node);
});
element.addEventListener('focusin', (event) => {
    const node = event.target.closest('.am-node');
    if (node) show(node);
});
element.addEventListener('keydown', (event) => {
    const node = event.target.closest('.am-node'), step = STEPS[event.key];
    if (!node || !step) return;
    event.preventDefault();
    const stages = columns(), [column, place] = placeOf(node);
    const next = nodesOf(stages[Math.min(Math.max(column + step[0], 0), stages.length - 1)]);
    next[Math.min(Math.max(place + step[1], 0), next.length - 1)]?.focus();
});
const begin = () => {
    const found = element.querySelector('.am-circuit');
    const same = found === drawn && (!found || found.dataset.edges === written);
    if (same && (!edges.length || found.querySelector('path'))) return;
    if (!same) here = null;  // another drawing, which may come into the place of the last one
    if (!same) found?.querySelectorAll('[data-own]').forEach((tile) => { delete tile.dataset.own; });
    [drawn, written] = [found, found?.dataset.edges];
    edges = drawn ? JSON.parse(written) : [];
    draw();
};
new MutationObserver(begin).observe(element, {childList: true, subtree: true});
new ResizeObserver(draw).observe(element);
begin();
