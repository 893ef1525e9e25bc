// A gamepad walks the page: the cross moves the focus to what lies in its direction, A presses, B goes back, the shoulders change the place.
const FOCUSABLE = 'a[href], button:not([disabled]), input:not([disabled]):not([type=hidden]), select, textarea, summary, [tabindex="0"]';
const BUTTONS = { press: 0, back: 1, before: 4, after: 5, up: 12, down: 13, left: 14, right: 15 } as const;
type Direction = 'up' | 'down' | 'left' | 'right';
/** How far a stick must be moved to count. */
const REACH = 0.6;

interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** The place of the box that lies next in a direction; sideways distance counts double. */
export function nextIn(from: Box, direction: Direction, boxes: readonly Box[]): number {
  const middle = (box: Box) => ({ x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2 });
  const at = middle(from);
  let best = -1;
  let least = Number.POSITIVE_INFINITY;
  boxes.forEach((box, index) => {
    const to = middle(box);
    const upright = direction === 'up' || direction === 'down';
    const ahead = (upright ? to.y - at.y : to.x - at.x) * (direction === 'up' || direction === 'left' ? -1 : 1);
    const aside = Math.abs(upright ? to.x - at.x : to.y - at.y);
    const cost = ahead + 2 * aside;
    if (ahead > 4 && cost < least) [best, least] = [index, cost];
  });
  return best;
}

function walk(direction: Direction): void {
  const scope = document.querySelector('[role=dialog], [role=alertdialog], [role=menu]') ?? document;
  const all = [...scope.querySelectorAll<HTMLElement>(FOCUSABLE)].filter((one) => one.checkVisibility() && one.tabIndex >= 0);
  const from = document.activeElement;
  if (!from || from === document.body || !scope.contains(from)) {
    all[0]?.focus();
    return;
  }
  const rest = all.filter((one) => one !== from);
  const next = rest[nextIn(from.getBoundingClientRect(), direction, rest.map((one) => one.getBoundingClientRect()))];
  next?.focus();
  next?.scrollIntoView({ block: 'nearest' });
}

function pressed(pad: Gamepad): Set<string> {
  const [x = 0, y = 0] = pad.axes;
  const held = Object.entries(BUTTONS).filter(([, button]) => pad.buttons[button]?.pressed).map(([name]) => name);
  const stick = [x < -REACH && 'left', x > REACH && 'right', y < -REACH && 'up', y > REACH && 'down'];
  return new Set([...held, ...stick.filter((name): name is Direction => name !== false)]);
}

/** A choice goes on to its next one, for a list cannot be opened from here; everything else is clicked. */
export function press(at: Element | null): void {
  if (at instanceof HTMLSelectElement) {
    at.selectedIndex = (at.selectedIndex + 1) % at.options.length;
    at.dispatchEvent(new Event('input', { bubbles: true }));
    at.dispatchEvent(new Event('change', { bubbles: true }));
  } else if (at instanceof HTMLElement) at.click();
}

/** To the next place of the main navigation, or the one before. */
function place(by: number): void {
  if (document.querySelector('[role=dialog], [role=alertdialog]')) return;
  const places = [...document.querySelectorAll<HTMLElement>('header nav a')];
  const at = places.findIndex((one) => one.getAttribute('aria-current') === 'page');
  places[(at + by + places.length) % places.length]?.click();
}

function obey(name: string): void {
  if (name === 'press') press(document.activeElement);
  else if (name === 'before' || name === 'after') place(name === 'after' ? 1 : -1);
  else if (name === 'back') {
    const open = document.querySelector('[role=dialog], [role=menu]');
    if (open) document.activeElement?.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }));
    else history.back();
  } else walk(name as Direction);
}

/** Listens for gamepads; looks at them only while one is there. Gives back what ends it. */
export function startGamepad(): () => void {
  let before = new Set<string>();
  let frame = 0;
  const look = (): void => {
    const pad = navigator.getGamepads().find(Boolean);
    if (!pad) {
      frame = 0;
      return;
    }
    const now = pressed(pad);
    for (const name of now) if (!before.has(name)) obey(name);
    before = now;
    frame = requestAnimationFrame(look);
  };
  const begin = (): void => {
    frame ||= requestAnimationFrame(look);
  };
  addEventListener('gamepadconnected', begin);
  return () => {
    removeEventListener('gamepadconnected', begin);
    cancelAnimationFrame(frame);
  };
}
