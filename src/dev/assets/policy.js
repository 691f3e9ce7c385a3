// The rendered policy, statement by statement, and the light on the one that decides.

const list = () => document.getElementById("statements");

/** Shows a policy without any light. */
export function show(policy) {
  list().replaceChildren(...policy.Statement.map((statement, place) => {
    const item = document.createElement("li");
    item.id = `statement-${place}`;
    // Links come here.
    item.tabIndex = -1;
    const [title, text, because] = ["h3", "pre", "p"].map((name) => document.createElement(name));
    title.textContent = `Statement[${place}]: ${statement.Effect}`;
    const { Effect, ...rest } = statement;
    text.textContent = written(rest);
    because.hidden = true;
    item.append(title, text, because);
    return item;
  }));
}

/** JSON in lines, but each list of texts in one, as people write policies. */
const written = (value) =>
  JSON.stringify(value, null, 2).replace(/\[\s+([^[\]{}]*?)\s+\]/g, (_, list) => `[${list.replace(/\s*\n\s*/g, " ")}]`);

/** Lights up the statement that decides and says at each what it had to do with it. Answers where to look. */
export function light({ Statements, DecidedBy, Allowed }) {
  const about = ({ Because }) => !/other actions/.test(Because);
  const places = [];
  [...list().children].forEach((item, place) => {
    const judged = Statements[place];
    const decides = judged.Statement === DecidedBy;
    // Where none decides, those about the same action came closest.
    const nearest = !DecidedBy && about(judged);
    item.className = decides ? (Allowed ? "allows" : "denies") : nearest ? "nearest" : "";
    const mark = document.createElement("span");
    mark.className = "mark";
    mark.textContent = decides ? "This one decides: " : nearest ? "Came closest, but: " : "";
    const because = item.querySelector("p");
    because.replaceChildren(mark, `${judged.Because}.`);
    because.hidden = false;
    if (decides || nearest) {
      places.push(place);
    }
  });
  return places;
}

/** The folder that the first Allow with a key is about: up to the slash before its first wildcard. */
export function folder(policy) {
  const resources = policy.Statement.filter(({ Effect }) => Effect === "Allow").flatMap(({ Resource }) => Resource);
  const keys = resources.map((resource) => resource.split(":").slice(4).join(":")).filter((path) => path.includes("/"));
  const fixed = (keys[0] ?? "/").replace(/[*?].*$/, "");
  return fixed.slice(fixed.indexOf("/") + 1, fixed.lastIndexOf("/") + 1);
}

/** The bucket that the policy is about, of those that there are; else the first. */
export function bucket(policy, buckets) {
  const text = JSON.stringify(policy.Statement);
  const named = buckets.find(({ Name }) => [`:${Name}/`, `:${Name}"`].some((part) => text.includes(part)));
  return named ?? buckets[0];
}
