// A long list whose filters stand in the page's address: page after page as one scrolls, and each change of the filters a
// step in the browser's history.

import { ask, at } from "./api.js";
import { $, show } from "./dom.js";

const PAGE = 100;
const failed = (error) => show($("problem"), error);

export class LongList {
  /** `page` is its own path, `path` the API's; `params()` → what the API is asked; `rowOf(item)` → an element. */
  constructor(page, path, params, rowOf) {
    Object.assign(this, { page, path, params, rowOf });
    [this.cursor, this.turn, this.loading] = [null, 0, false]; // an answer of an earlier turn is not shown
    $("more").onclick = () => this.more();
    new IntersectionObserver(([end]) => end.isIntersecting && this.cursor && this.more()).observe($("more"));
  }

  /** Other filters; `begin` shows what they leave in. */
  goTo(params, words = "") {
    const text = new URLSearchParams([...params, ...(words ? [["q", words]] : [])]).toString();
    history.pushState(null, "", `${at(this.page)}${text ? `?${text}` : ""}`);
  }

  /** What the address asks for, from its beginning. */
  async begin() {
    $("problem").hidden = true;
    this.turn += 1;
    [this.cursor, this.loading] = [null, false];
    $("found").replaceChildren();
    await this.more();
  }

  async more() {
    if (this.loading) return;
    this.loading = true;
    const { turn } = this;
    const params = new URLSearchParams([...this.params(), ["limit", PAGE], ...(this.cursor ? [["cursor", this.cursor]] : [])]);
    try {
      const page = await ask("GET", `${this.path}?${params}`);
      if (turn !== this.turn) return;
      this.cursor = page.next_cursor;
      $("found").append(...page.items.map(this.rowOf));
      this.tell();
    } catch (error) {
      failed(error);
    } finally {
      if (turn === this.turn) this.loading = false;
    }
  }

  tell() {
    const count = $("found").children.length;
    $("count").textContent = count ? `${count}${this.cursor ? " and more" : ""}` : "";
    $("none").hidden = count > 0;
    $("more").hidden = !this.cursor;
  }
}
