// Names for what Gradio leaves without one, for screen readers: example buttons, pictures of answers, and the verdict.
(() => {
  const nameOf = (block) => block?.querySelector("[data-testid='block-label']")?.textContent.trim();
  const rules = [
    [".gallery-item:not([aria-label])", (button) => {
      const file = button.querySelector("img")?.src.split("/").pop().split(".")[0];
      if (file) button.setAttribute("aria-label", `Example: ${decodeURIComponent(file).replaceAll("-", " ")}`);
    }],
    [".block .image-container > button:not([aria-label])", (button) => {
      const name = nameOf(button.closest(".block")) ?? button.closest(".column")?.querySelector("h3")?.textContent;
      button.setAttribute("aria-label", `${name ?? "Picture"}, larger`);
      const picture = button.querySelector("img");
      if (picture && !picture.alt) picture.alt = name ?? "Picture";
    }],
    // the text inside says more
    ["#camera .capture-button[aria-label], button[aria-label='Click to upload or drop files'], button[aria-label='Drop an image file here to upload']", (button) => button.removeAttribute("aria-label")],
    ["div.empty[aria-label]:not([role])", (empty) => empty.removeAttribute("aria-label")],
    [":is(#verdict, #lesson, #live-name):not([role])", (told) => told.setAttribute("role", "status")],
    ["#camera img:not([alt])", (frame) => { frame.alt = "What the camera shows"; }],
  ];
  const name = () => rules.forEach(([selector, give]) => document.querySelectorAll(selector).forEach(give));
  new MutationObserver(name).observe(document.documentElement, { childList: true, subtree: true });
})();
