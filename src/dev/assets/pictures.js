// The pictures below a folder: listed, fetched and uploaded with the token.

const element = (id) => document.getElementById(id);
const PICTURE = /\.(avif|gif|jpe?g|png|svg|webp)$/i;
/** Addresses of the blobs that are shown; they hold memory until they are given back. */
let shown = [];
/** Listings overtake each other; only the latest is shown. */
let latest = 0;

/** Lists the folder and shows its pictures. Answers what OSS said to the listing. */
export async function list(bucket, folder) {
  const turn = ++latest;
  const listed = await bucket.list(folder);
  if (turn !== latest) {
    return listed;
  }
  clear();
  if (!listed.ok) {
    say("look-said", `The token may not list \`${folder}\`: ${listed.message}`, "bad");
    return listed;
  }
  const pictures = listed.keys.filter((key) => PICTURE.test(key));
  const more = listed.more ? ", and more that are not shown" : "";
  say("look-said", `${pictures.length} of ${listed.keys.length} objects are pictures${more}.`);
  await Promise.all(pictures.map((key) => thumbnail(bucket, folder, key, turn)));
  return listed;
}

/** Fetched with the token and not by an `img` of its own: that could not sign. */
async function thumbnail(bucket, folder, key, turn) {
  const item = document.createElement("li");
  element("thumbnails").append(item);
  const got = await bucket.read(key);
  if (turn !== latest) {
    return;
  }
  item.textContent = key.slice(folder.length);
  if (got.ok) {
    item.prepend(picture(got.blob, ""));
    item.dataset.key = key;
  } else {
    item.append(` (${got.code})`);
  }
}

/** A picture of what a blob holds. */
export function picture(blob, alt) {
  const image = document.createElement("img");
  image.src = URL.createObjectURL(blob);
  image.alt = alt;
  shown.push(image.src);
  return image;
}

export function clear() {
  shown.forEach((address) => URL.revokeObjectURL(address));
  shown = [];
  element("thumbnails").replaceChildren();
  say("look-said", "");
}

/** Uploads the chosen file into the folder. Answers its key, and what OSS said. */
export async function upload(bucket, folder, file) {
  const bar = element("progress");
  const key = folder + file.name;
  bar.value = 0;
  say("upload-said", "");
  const answer = await bucket.write(key, file, (part) => {
    bar.value = Math.round(part * 100);
  });
  if (answer.ok) {
    bar.value = 100;
    say("upload-said", `\`${key}\` is in the bucket, ${file.size.toLocaleString("en")} bytes.`, "good");
  } else {
    say("upload-said", `OSS did not take \`${key}\`: ${answer.message}`, "bad");
  }
  return { key, answer };
}

export function say(id, text, kind = "") {
  element(id).textContent = text;
  element(id).className = `said ${kind}`;
}
