// A button that copies a text. Where the page came over plain HTTP from another machine, browsers offer no clipboard.

function copyOld(text) {
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'copied';
  area.readOnly = true; // no keyboard pops up
  document.body.append(area);
  const before = document.activeElement;
  area.select();
  const copied = document.execCommand('copy');
  area.remove();
  if (before) before.focus({ preventScroll: true });
  return copied;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { // there is none, or it is not allowed
    return copyOld(text);
  }
}

export function copyButton(what, text) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'copy';
  button.textContent = 'Copy';
  button.setAttribute('aria-label', `Copy the ${what}`);
  button.addEventListener('click', async () => {
    const said = await copy(text) ? 'Copied' : 'Could not copy';
    button.textContent = said;
    document.getElementById('said').textContent = `${said}.`;
    setTimeout(() => { button.textContent = 'Copy'; }, 2000);
  });
  return button;
}
