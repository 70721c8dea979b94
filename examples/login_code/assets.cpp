#include "assets.hpp"

// Colours are pairs that are easy to read on each other (contrast 4.5 and more), by day and night.
const char* const style_css = R"(:root {
  color-scheme: light dark;
  --ink: #1c2430; --soft: #556070; --paper: #f4f6f9; --card: #ffffff; --line: #d3d9e2;
  --field: #7a8596; --accent: #1f5fbf; --on-accent: #ffffff;
  --notice: #12603a; --notice-paper: #e4f5ec; --error: #9c1c28; --error-paper: #fdeaec;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e8ecf2; --soft: #a7b1c0; --paper: #12161d; --card: #1c222c; --line: #36404e;
    --field: #8390a3; --accent: #8ab8ff; --on-accent: #10213c;
    --notice: #a5e6c3; --notice-paper: #143325; --error: #ffb8be; --error-paper: #45191e;
  }
}
* { box-sizing: border-box }
body {
  margin: 0 auto; padding: 1.5rem 1rem; max-width: 34rem;
  font: 1.0625rem/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
}
main {
  padding: 1.5rem; border: 1px solid var(--line); border-radius: .75rem; background: var(--card);
}
h1 { margin: 0 0 1rem; font-size: 1.5rem; line-height: 1.25; overflow-wrap: anywhere }
h2 { margin: 2rem 0 .5rem; font-size: 1.125rem }
p { margin: 0 0 1rem; overflow-wrap: anywhere }
a { color: var(--accent) }
label { display: block; margin-bottom: .375rem; font-weight: 600 }
input {
  display: block; width: 100%; margin-bottom: 1rem; padding: .625rem .75rem; font: inherit;
  color: inherit; background: var(--card); border: 1px solid var(--field); border-radius: .5rem;
}
input.code { max-width: 12rem; font-size: 1.5rem; letter-spacing: .25em }
button {
  padding: .625rem 1rem; font: inherit; font-weight: 600; cursor: pointer; border-radius: .5rem;
  color: var(--on-accent); background: var(--accent); border: 1px solid var(--accent);
}
button.quiet { color: var(--accent); background: transparent }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
.flash { padding: .625rem .875rem; border-radius: .5rem; border-left: .25rem solid }
.notice { color: var(--notice); background: var(--notice-paper) }
.error { color: var(--error); background: var(--error-paper) }
.soft, footer { color: var(--soft); font-size: .9375rem }
.figures { font-variant-numeric: tabular-nums }
.devices { margin: 0 0 1.5rem; padding: 0; list-style: none }
.device {
  display: flex; justify-content: space-between; align-items: center; gap: .5rem;
  padding: .75rem 0; border-bottom: 1px solid var(--line);
}
.device p { margin: 0 }
.device .soft { font-size: .875rem }
.device button { padding: .625rem .75rem }
.current { padding: .0625rem .5rem; border-radius: 1rem; font-size: .875rem;
  color: var(--notice); background: var(--notice-paper) }
.actions { display: flex; flex-wrap: wrap; gap: .75rem; align-items: center }
.actions > * { margin: 0 }
footer { margin-top: 1rem; text-align: center }
pre { margin: 0; padding: 1rem; white-space: pre-wrap; border: 1px solid var(--line);
  border-radius: .5rem }
)";

const char* const countdown_js = R"('use strict';
// Without this script the page shows the time that was left when it was made.
const place = document.getElementById('countdown');
const end = Date.now() + Number(place.dataset.expiresMs);

function show() {
  const seconds = Math.max(0, Math.round((end - Date.now()) / 1000));
  place.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  if (seconds === 0) clearInterval(timer);
}

const timer = setInterval(show, 1000);
show();
)";

const char* const icon_svg = R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="7" fill="#1f5fbf"/>
<g fill="none" stroke="#fff" stroke-width="3"><circle cx="11" cy="16" r="5"/>
<path d="M16 16h11v5m-5-5v4"/></g></svg>
)";
