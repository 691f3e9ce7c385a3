// The pictures below a folder: listed and fetched with the token.

import { label, write } from "./text.js";

const element = (id) => document.getElementById(id);
const PICTURE = /\.(avif|gif|jpe?g|png|svg|webp)$/i;
/** Addresses of the thumbnails' blobs; they hold memory until they are given back. */
let shown = [];
/** Listings overtake each other; only the latest is shown. */
let latest = 0;

/** Shows the pictures of a listing. `hooks` are `open` and `remove`, called with a key. */
export async function show(bucket, folder, listed, hooks) {
  const turn = ++latest;
  clear();
  if (!listed.ok) {
    say("look-said", "bad", "phone.not-listed", { folder });
    return;
  }
  const keys = listed.keys.filter((key) => PICTURE.test(key));
  const key = keys.length ? (listed.more ? "phone.listed-more" : "phone.listed") : "phone.empty";
  say("look-said", "", key, { count: keys.length });
  // The newest of the page's own pictures have the highest names.
  await Promise.all(keys.toReversed().map((key) => thumbnail(bucket, folder, key, turn, hooks)));
}

/** Fetched with the token and not by an `img` of its own: that could not sign. */
async function thumbnail(bucket, folder, key, turn, { open, remove }) {
  const name = key.slice(folder.length);
  const item = document.createElement("li");
  const [opens, removes, caption] = ["button", "button", "span"].map((tag) => document.createElement(tag));
  caption.textContent = name;
  opens.className = "open";
  removes.className = "remove";
  removes.textContent = "×";
  label(opens, "phone.open", { name }).addEventListener("click", () => open(key));
  label(removes, "phone.delete", { name }).addEventListener("click", () => remove(key));
  [opens, removes].forEach((button) => (button.type = "button"));
  item.append(opens, removes, caption);
  element("thumbnails").append(item);
  const got = await bucket.read(key);
  if (turn !== latest) {
    return;
  }
  if (got.ok) {
    opens.append(image(got.blob));
    item.dataset.key = key;
  } else {
    opens.textContent = got.code;
  }
}

function image(blob) {
  const image = Object.assign(new Image(), { src: URL.createObjectURL(blob), alt: "" });
  shown.push(image.src);
  return image;
}

/** A picture of what a blob holds, with a text. Its address is given back once it is decoded. */
export function picture(blob, key, values) {
  const image = new Image();
  image.src = URL.createObjectURL(blob);
  image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
  return label(Object.assign(image, { alt: values.key }), key, values);
}

export function clear() {
  shown.forEach((address) => URL.revokeObjectURL(address));
  shown = [];
  element("thumbnails").replaceChildren();
}

export function say(id, kind, key, values) {
  write(element(id), key, values).className = `said ${kind}`;
}
