// What Gradio and Vega leave out for those who hear the page or have no mouse: names of controls,
// the role without which a name is not heard, and lists that only the arrow keys should reach.
const MISSING = [
    [".vega-embed summary", "aria-label", () => "Save this chart"],
    [".empty[aria-label]", "role", () => "img"],
    ["ul.options", "tabindex", () => "-1"],
];
const complete = () => {
    for (const [selector, attribute, value] of MISSING)
        document.querySelectorAll(selector).forEach((element, place) => {
            if (!element.hasAttribute(attribute)) element.setAttribute(attribute, value(place));
        });
};
let waiting = false;
new MutationObserver(() => {
    if (waiting) return;
    waiting = true;
    setTimeout(() => { waiting = false; complete(); }, 100);
}).observe(document, {childList: true, subtree: true});
