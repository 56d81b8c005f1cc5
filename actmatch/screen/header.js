// The tour, the switch to dark or light, and titles for the buttons. Nothing leaves the browser.
const remembered = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
const remember = (name, value) => { try { localStorage.setItem(name, value); } catch { /* then not */ } };

// --- tour ---------------------------------------------------------------------------------------

const tour = element.querySelector('#am-tour');
const opener = element.querySelector('#am-tour-open');
const steps = [...tour.querySelectorAll('li')];
const button = (name) => tour.querySelector(`[data-tour=${name}]`);
let at = 0;

const point = (target) => {
    document.querySelectorAll('.am-toured').forEach((each) => each.classList.remove('am-toured'));
    if (target) target.classList.add('am-toured');
};
const show = (number, moves) => {
    at = number;
    steps.forEach((step, i) => { step.hidden = i !== at; });
    element.querySelector('#am-tour-place').textContent = `${at + 1} of ${steps.length}`;
    button('back').disabled = at === 0;
    button('next').hidden = at === steps.length - 1;
    button('end').textContent = at === steps.length - 1 ? 'Done' : 'Close';
    const target = document.getElementById(steps[at].dataset.target);
    point(target);
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    if (moves && target) target.scrollIntoView({block: 'center', behavior: calm ? 'auto' : 'smooth'});
};
const open = (asked) => {
    tour.hidden = false;
    opener.setAttribute('aria-expanded', 'true');
    show(0, asked);
    if (asked) button('next').focus({preventScroll: true});
};
const end = () => {
    const within = tour.contains(document.activeElement);
    tour.hidden = true;
    opener.setAttribute('aria-expanded', 'false');
    point(null);
    remember('actmatch-tour', 'seen');
    if (within) opener.focus({preventScroll: true});
};
opener.addEventListener('click', () => (tour.hidden ? open(true) : end()));
button('back').addEventListener('click', () => show(at - 1, true));
button('next').addEventListener('click', () => {
    show(at + 1, true);
    if (button('next').hidden) button('end').focus({preventScroll: true});
});
button('end').addEventListener('click', end);
tour.addEventListener('keydown', (event) => { if (event.key === 'Escape') end(); });
if (!remembered('actmatch-tour')) {
    open(false);
    const later = setInterval(() => {  // what is pointed at comes a little later than the head
        const target = document.getElementById(steps[at].dataset.target);
        if (target && !tour.hidden) point(target);
        if (target) clearInterval(later);
    }, 300);
}

// --- dark or light ------------------------------------------------------------------------------

const scheme = element.querySelector('#am-scheme');
const isDark = () => document.body.classList.contains('dark');
const say = () => {
    scheme.setAttribute('aria-pressed', String(isDark()));
    scheme.textContent = isDark() ? 'Light' : 'Dark';
};
const chosen = remembered('actmatch-scheme');
if (chosen) document.body.classList.toggle('dark', chosen === 'dark');
say();
new MutationObserver(say).observe(document.body, {attributes: true, attributeFilter: ['class']});
scheme.addEventListener('click', () => {
    document.body.classList.toggle('dark');
    remember('actmatch-scheme', isDark() ? 'dark' : 'light');
});

// --- titles of buttons, which may come and go ---------------------------------------------------

const titles = JSON.parse(element.querySelector('#am-head').dataset.titles);
const entitle = (event) => {
    const pointed = event.target.closest?.('button, a');
    const named = pointed?.closest('[id^=am-]');
    if (named && titles[named.id] && !pointed.title) pointed.title = titles[named.id];
};
document.addEventListener('pointerover', entitle);
document.addEventListener('focusin', entitle);

// --- the open tab in the address ----------------------------------------------------------------

const questions = JSON.parse(element.querySelector('#am-head').dataset.questions);
const slug = (title) => title.trim().toLowerCase().replace(/[^a-z]+/g, '-').replace(/^-|-$/g, '');
const named = (title) => [...document.querySelectorAll('#am-tabs [role=tab]')].find(
    (tab) => slug(tab.textContent) === slug(title) && tab.checkVisibility());
const openTab = (block) => {
    const asked = slug(decodeURIComponent(location.hash.slice(1)));
    if (!(asked in questions)) return;
    let tries = 50;  // the tabs come a little later than the head, and those within one later still
    const trying = setInterval(() => {
        const [outer, inner] = [named(questions[asked]), named(asked)];
        if (inner) inner.click(); else if (outer?.ariaSelected === 'false') outer.click();
        if (inner || !tries--) clearInterval(trying);
        if (!inner) return;
        const bring = () => document.getElementById('am-tabs').scrollIntoView({block});
        bring();
        if (block !== 'start') return;
        inner.focus({preventScroll: true});
        setTimeout(bring, 400);  // again, once the tab has its height
    }, 100);
};
document.addEventListener('click', (event) => {
    const tab = event.target.closest?.('#am-tabs [role=tab]');
    const place = tab && slug(tab.textContent);
    if (place in questions) history.replaceState(null, '', `${location.pathname}${location.search}#${place}`);
});
document.addEventListener('click', (event) => {
    const link = event.target.closest?.('a[href^="#"]');
    if (!link || !(slug(link.hash) in questions)) return;
    event.preventDefault();
    history.replaceState(null, '', `${location.pathname}${location.search}${link.hash}`);
    openTab('start');
});
addEventListener('hashchange', () => openTab('nearest'));
openTab('nearest');
