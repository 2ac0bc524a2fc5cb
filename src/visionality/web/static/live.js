// What the live table does besides polling: it holds still while nobody looks or while text in it is selected,
// and it says so when the server no longer answers.
"use strict";
(function () {
  function selecting() {
    var selection = document.getSelection();
    var rows = document.getElementById("rows");
    return Boolean(rows && selection && !selection.isCollapsed && rows.contains(selection.anchorNode));
  }
  function say(words, broken) {
    var state = document.getElementById("live");
    if (!state || state.textContent === words) return;
    state.textContent = words;
    state.classList.toggle("broken", broken);
    state.setAttribute("aria-live", broken ? "polite" : "off");
  }
  document.addEventListener("htmx:beforeRequest", function (event) {
    if (event.target.id !== "rows") return;
    if (selecting()) say("Waiting while text is selected", false);
    else if (!document.hidden) return;
    event.preventDefault();
  });
  document.addEventListener("htmx:afterRequest", function (event) {
    if (event.target.id !== "rows") return;
    if (event.detail.successful) say("Live", false);
    else say("Not live: the server does not answer", true);
  });
})();
