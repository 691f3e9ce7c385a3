// The form that asks for a token: which client, which user, which grant, which parameters.

import { adviceOn } from "./advice.js";
import * as service from "./service.js";
import { clear, made, write } from "./text.js";

const element = (id) => document.getElementById(id);
/** The client and the user that the page begins with, where the configuration has them. */
const FIRST = { client: "photo-app", user: "alice" };
/** What parameters are filled in with at first. */
const EXAMPLES = { album: "2015" };
let clients = [];
let grants = [];
/** Choices overtake each other where answers do; only the latest counts. */
let latest = 0;

/** Fills the form and asks for the first token. `hooks` are `onAsk`, `onToken` and `onRefused`. */
export async function start(setup, hooks) {
  clients = setup.Clients;
  element("client").replaceChildren(...clients.map(({ Id }) => new Option(Id, Id, false, Id === FIRST.client)));
  element("user").replaceChildren(...setup.Users.map((user) => new Option(user, user, false, user === FIRST.user)));
  element("client").addEventListener("change", chooseClient);
  element("user").addEventListener("change", chooseClient);
  element("grant").addEventListener("change", chooseGrant);
  element("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    ask(hooks);
  });
  await chooseClient();
  if (grants.length) {
    await ask(hooks);
  }
}

const client = () => clients.find(({ Id }) => Id === element("client").value);
const submit = () => element("ask").querySelector("button");

async function chooseClient() {
  const turn = ++latest;
  const chosen = client();
  element("user-field").hidden = !chosen.ForUsers;
  submit().disabled = true;
  clear(element("ask-said"));
  try {
    const known = await service.whoami(await service.credential(chosen, element("user").value));
    if (turn === latest) {
      grants = known.Grants;
      submit().disabled = false;
    }
  } catch (error) {
    if (turn !== latest) {
      return;
    }
    grants = [];
    const noUsers = chosen.ForUsers && error.status === 404;
    say("bad", noUsers ? { key: "ask.no-users", values: { client: chosen.Id } } : adviceOn(error));
  }
  if (turn === latest) {
    element("grant").replaceChildren(...grants.map(({ Name }) => new Option(Name)));
    element("grant").disabled = !grants.length;
    chooseGrant();
  }
}

function chooseGrant() {
  const grant = grants.find(({ Name }) => Name === element("grant").value);
  element("parameters").replaceChildren(...(grant?.Parameters ?? []).map(({ Name, Rule }) => {
    const [label, input, rule] = ["label", "input", "small"].map((name) => document.createElement(name));
    input.name = Name;
    input.id = `parameter-${Name}`;
    input.value = EXAMPLES[Name] ?? "";
    input.autocomplete = "off";
    input.setAttribute("aria-describedby", `rule-${Name}`);
    rule.id = `rule-${Name}`;
    rule.lang = "en";
    rule.textContent = Rule;
    label.append(made("span", "ask.parameter", { name: Name }), " ", input);
    const field = document.createElement("div");
    field.append(label, rule);
    return field;
  }));
}

async function ask({ onAsk, onToken, onRefused }) {
  const inputs = element("parameters").querySelectorAll("input");
  const asked = { Grant: element("grant").value };
  if (inputs.length) {
    asked.Parameters = Object.fromEntries(Array.from(inputs, ({ name, value }) => [name, value]));
  }
  if (element("own-policy").value.trim()) {
    asked.Policy = element("own-policy").value;
  }
  const [chosen, user] = [client(), element("user").value];
  // Anew each time: a user's does not live for long.
  const proof = () => service.credential(chosen, user);
  const explain = async (question) => (await service.explain(await proof(), { ...asked, ...question })).answer;
  const explainGrant = (Grant) => async (question) => (await service.explain(await proof(), { Grant, ...question })).answer;
  submit().disabled = true;
  onAsk();
  try {
    const { answer: token, exchange } = await service.token(await proof(), asked);
    const source = await onToken({ token, exchange, explain, explainGrant, proof, asked, client: chosen, user });
    const values = { client: chosen.Id, user, source: { key: `source.${source}` } };
    say("good", { key: chosen.ForUsers ? "ask.done-user" : "ask.done", values });
  } catch (error) {
    say("bad", adviceOn(error));
    await onRefused(error, chosen);
  } finally {
    submit().disabled = false;
  }
}

function say(kind, { key, values }) {
  write(element("ask-said"), key, values).className = `said ${kind}`;
}
