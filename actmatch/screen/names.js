// What Gradio and Vega leave out or say wrongly for those who hear the page or have no mouse: names
// of controls, the role without which a name is not heard, lists that only the arrow keys should
// reach, and pictures in buttons that already say the same in their caption.
const caption = (button) => button.querySelector(".caption-label").innerText.trim();
const RIGHT = [
    [".vega-embed summary", "aria-label", () => "Save this chart"],
    [".empty[aria-label]", "role", () => "img"],
    ["ul.options", "tabindex", () => "-1"],
    ["button.upload-container", "aria-label", (button) => button.innerText.trim()],
    [".thumbnail-lg:has(.caption-label)", "aria-label", (button) => caption(button)],
    [".thumbnail-lg:has(.caption-label) img", "alt", () => ""],
];
const correct = () => {
    for (const [selector, attribute, right] of RIGHT)
        document.querySelectorAll(selector).forEach((element) => {
            const value = right(element);
            if (element.getAttribute(attribute) !== value) element.setAttribute(attribute, value);
        });
};
let waiting = false;
new MutationObserver(() => {
    if (waiting) return;
    waiting = true;
    setTimeout(() => { waiting = false; correct(); }, 100);
}).observe(document, {childList: true, subtree: true, attributeFilter: ["alt", "aria-label"]});
