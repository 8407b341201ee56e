'use strict';
// The colour theme: the reader's choice, kept in this browser. Loaded before the page is drawn, so that nothing flashes.
(() => {
  const NAME = 'agentdistill-theme';
  const LABELS = { auto: '◐ auto', light: '☀ light', dark: '☾ dark' };
  const order = Object.keys(LABELS);
  let theme = 'auto';
  try { theme = localStorage.getItem(NAME); } catch { /* the browser keeps nothing: the choice lasts until a reload */ }
  if (!order.includes(theme)) theme = 'auto';
  document.documentElement.dataset.theme = theme;

  document.addEventListener('DOMContentLoaded', () => {
    const button = document.getElementById('theme');
    const paint = () => {
      document.documentElement.dataset.theme = theme;
      button.textContent = LABELS[theme];
      button.setAttribute('aria-label', `Colour theme: ${theme}. Change`);
    };
    button.addEventListener('click', () => {
      theme = order[(order.indexOf(theme) + 1) % order.length];
      try { localStorage.setItem(NAME, theme); } catch { /* as above */ }
      paint();
    });
    paint();
  });
})();
