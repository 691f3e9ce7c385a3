// The form that asks for a token: which client, which grant, which parameters.

import * as service from "./service.js";

const element = (id) => document.getElementById(id);
/** What parameters are filled in with at first. */
const EXAMPLES = { album: "2015" };
let clients = [];
let grants = [];
/** Choices overtake each other where answers do; only the latest counts. */
let latest = 0;

/** Fills the form. `onToken` is called with each new token. */
export async function start(setup, onToken) {
  clients = setup.Clients;
  element("client").replaceChildren(...clients.map(({ Id }) => new Option(Id)));
  element("user").replaceChildren(...setup.Users.map((user) => new Option(user)));
  element("client").addEventListener("change", chooseClient);
  element("user").addEventListener("change", chooseClient);
  element("grant").addEventListener("change", chooseGrant);
  element("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    ask(onToken);
  });
  await chooseClient();
}

const client = () => clients.find(({ Id }) => Id === element("client").value);

async function chooseClient() {
  const turn = ++latest;
  const chosen = client();
  element("user-field").hidden = !chosen.ForUsers;
  const submit = element("ask").querySelector("button");
  submit.disabled = true;
  say("");
  try {
    const known = await service.whoami(await service.credential(chosen, element("user").value));
    if (turn === latest) {
      grants = known.Grants;
      submit.disabled = false;
    }
  } catch (error) {
    if (turn !== latest) {
      return;
    }
    grants = [];
    const noUsers = chosen.ForUsers && error.status === 404;
    say(noUsers ? `${chosen.Id} is not available: it serves users, and this server has nobody who vouches for them yet.`
      : `${chosen.Id} is not let in: ${error.message}`, "bad");
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
    rule.textContent = Rule;
    label.append(`Parameter ${Name} `, input);
    const field = document.createElement("div");
    field.append(label, rule);
    return field;
  }));
}

async function ask(onToken) {
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
  try {
    const token = await service.token(await proof(), asked);
    say(`A token for ${chosen.Id}${chosen.ForUsers ? `, as ${user} uses it` : ""}.`, "good");
    const explain = async (question) => service.explain(await proof(), { ...asked, ...question });
    await onToken({ token, explain });
  } catch (error) {
    say(error.code ? `${error.status} ${error.code}: ${error.message}` : error.message, "bad");
  }
}

function say(text, kind = "") {
  element("ask-said").textContent = text;
  element("ask-said").className = `said ${kind}`;
}
