// Keeps the end of the page in sight while it grows, unless the reader has scrolled away from it.

const NEAR = 48, FAR = 160; // CSS pixels that lie below the window

export class Follow {
  constructor(button) {
    this.button = button;
    this.on = true;
    this.last = window.scrollY;
    window.addEventListener('scroll', () => this.moved(), { passive: true });
    window.addEventListener('resize', () => this.grown()); // a keyboard that opens, a phone that is turned
    button.addEventListener('click', () => this.toEnd());
  }

  get below() { return document.documentElement.scrollHeight - window.innerHeight - window.scrollY; }

  moved() {
    if (this.below < NEAR) this.on = true;
    else if (window.scrollY < this.last - 1) this.on = false;
    this.last = window.scrollY;
    this.offer();
  }

  /** The page has become longer or shorter. */
  grown() {
    if (this.on) window.scrollTo({ top: document.documentElement.scrollHeight, behavior: 'instant' });
    this.offer();
  }

  toEnd() {
    this.on = true;
    this.grown();
  }

  /** The reader is busy with something above the end. */
  pause() {
    this.on = false;
    this.offer();
  }

  /** Show the page's end, from the beginning of that node where both do not fit under what covers the top. */
  show(node, covered) {
    if (!this.on) { this.offer('Answer ↓'); return; }
    this.grown();
    if (node.getBoundingClientRect().top < covered) {
      node.scrollIntoView({ block: 'start', behavior: 'instant' });
    }
  }

  offer(label) {
    const away = !this.on && this.below > FAR;
    if (label) this.button.textContent = label;
    else if (!away) this.button.textContent = 'To the end ↓';
    this.button.hidden = !away;
  }
}
