// A long list is drawn in portions, one a frame: the first screen is there at once, and nothing halts meanwhile.
import { onBeforeUnmount, type Ref, ref, watch } from 'vue';

/** How many are drawn at once: more than fit onto a screen. */
const PORTION = 18;

/** How many members of a list of this length are to be drawn by now. */
export function useGradual(length: () => number): Ref<number> {
  const drawn = ref(PORTION);
  let frame = 0;
  function more(): void {
    frame = 0;
    if (drawn.value >= length()) return;
    drawn.value += PORTION;
    frame = requestAnimationFrame(more);
  }
  watch(length, (now) => {
    if (now > drawn.value) frame ||= requestAnimationFrame(more);
  }, { immediate: true });
  onBeforeUnmount(() => cancelAnimationFrame(frame));
  return drawn;
}
