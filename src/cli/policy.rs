//! `appserver policy render`, `appserver policy explain` and `appserver policy lint`; `compare` has a file of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::config_files::ConfigFiles;
use super::failure::{EXIT_CONFIG, Failure};
use super::output::{Colour, say, say_line, say_verdict};
use super::policy_compare::{self, CompareArgs};
use crate::auth::Caller;
use crate::config::{self, Mode, Settings};
use crate::grant::{Grants, Refusal, TokenParams};
use appserver_domain::clock::Clock;
use appserver_domain::{ClientId, IssuerName, Subject};
use appserver_policy::{
    Breadth, Explanation, LintReport, PolicyProblem, Request, RequestedPolicy, RolePolicy,
    SessionPolicy, SharedResource, StatementVerdict, ValueProblem, lint_file,
};

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Print the exact JSON that would go to STS for a caller
    Render(CallArgs),
    /// Say whether a caller's token would allow an action, by which statement, and why
    Explain(ExplainArgs),
    /// Say what a new policy or template also allows and what it no longer allows, each with a request that shows it;
    /// the exit code is 1 if it allows more
    Compare(CompareArgs),
    /// Print every problem of policy template files, and warnings about valid but probably unintended parts; the exit
    /// code is 64 if there is a problem
    Lint {
        /// Files of RAM JSON with placeholders
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Accept a policy that allows every action or bucket, as a grant's `allow_broad` does
        #[arg(long)]
        allow_broad: bool,
        /// Accept objects that different callers share, as a grant's `allow_shared` does; repeat it for each resource
        #[arg(long = "allow-shared", value_name = "RESOURCE")]
        allow_shared: Vec<SharedResource>,
    },
}

#[derive(Debug, Args)]
pub(super) struct CallArgs {
    #[command(flatten)]
    config: ConfigFiles,
    /// The calling client
    #[arg(long)]
    client: ClientId,
    /// The grant; optional if the client has a default or exactly one
    #[arg(long)]
    grant: Option<String>,
    /// The user of the call
    #[arg(long)]
    subject: Option<Subject>,
    /// The issuer of the user's token, a key of `issuers`; optional if only one has users of the client
    #[arg(long)]
    issuer: Option<IssuerName>,
    /// A parameter of the request
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = pair)]
    params: Vec<(String, String)>,
    /// A claim of the user's token
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = pair)]
    claims: Vec<(String, String)>,
    /// A file with the policy that the caller requests within its grant
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

/// The action is denied, with `--exit-code`.
const EXIT_DENIED: u8 = 1;

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    call: CallArgs,
    /// The action, such as oss:GetObject; an operation such as oss:HeadObject is decided by the action that allows it
    #[arg(long)]
    action: String,
    /// One bucket or object, such as acs:oss:*:*:sample-bucket/2015/grass.jpg
    #[arg(long)]
    resource: String,
    /// A condition key of the request, such as oss:Prefix=2015/
    #[arg(long = "condition", value_name = "KEY=VALUE", value_parser = pair)]
    conditions: Vec<(String, String)>,
    /// A file with a policy of the role, which must allow the action too; repeat it for each policy of the role
    #[arg(long = "role-policy", value_name = "FILE")]
    role_policies: Vec<PathBuf>,
    /// Print JSON like the answer of `POST /v1/explain`
    #[arg(long)]
    json: bool,
    /// Exit with 1 if the action is denied; without this option a denial is a result like any other, with exit code 0
    #[arg(long)]
    exit_code: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) fn run(command: PolicyCommand) -> Result<(), Failure> {
    match command {
        PolicyCommand::Render(args) => render(args),
        PolicyCommand::Explain(args) => explain(args),
        PolicyCommand::Compare(args) => policy_compare::run(&args),
        PolicyCommand::Lint { files, allow_broad, allow_shared } => {
            let breadth = if allow_broad { Breadth::Broad } else { Breadth::Narrow };
            lint(&files, breadth, &allow_shared)
        }
    }
}

fn render(args: CallArgs) -> Result<(), Failure> {
    say(session_policy(args)?.as_str())
}

/// The policy that would go to STS.
fn session_policy(args: CallArgs) -> Result<SessionPolicy, Failure> {
    // Nothing is served, so the demo's configuration is accepted too.
    let settings = args.config.load(Mode::Demo)?;
    let grants = &settings.rules.grants;
    let parameters = each_once("--param", args.params)?;
    let claims = each_once("--claim", args.claims)?;
    let given = Given { parameters: &parameters, claims: &claims };
    check_names(grants, &args.client, args.grant.as_deref(), given)?;
    check_issuer(&settings, &args.client, args.issuer.as_ref(), args.subject.is_some())?;
    let mut issuers = settings.rules.issuers.iter().filter(|issuer| issuer.serves(&args.client));
    let only = match (issuers.next(), issuers.next()) {
        (Some(only), None) => Some(only.id.clone()),
        (Some(_) | None, _) => None,
    };
    let issuer = args.issuer.or(only).filter(|_| args.subject.is_some());
    let caller = Caller::simulated(args.client, args.subject, claims).of_issuer(issuer);
    let policy = args.policy.map(|file| {
        let problem = |problem| Failure::new(EXIT_CONFIG, format!("{}: {problem}", file.display()));
        RequestedPolicy::parse(&read(&file)?).map_err(problem)
    });
    let policy = policy.transpose()?;
    let asked = TokenParams { grant: args.grant, duration_secs: None, parameters, policy };
    let grant = grants.explained(&caller, &asked, Clock::system().now());
    let refused = |refusal| Failure::new(EXIT_CONFIG, with_fix(&refusal, &caller));
    Ok(grant.map_err(refused)?.policy().clone())
}

/// A refusal with the option that fixes it.
fn with_fix(refusal: &Refusal, caller: &Caller) -> String {
    let value = |problem: &ValueProblem| {
        match problem {
        ValueProblem::MissingParameter { name, .. } => format!("give it by --param {name}=VALUE"),
        ValueProblem::MissingClaim(name) => format!("give it by --claim {name}=VALUE"),
        ValueProblem::MissingSubject => "name one by --subject SUBJECT".to_owned(),
        ValueProblem::MissingIssuer if caller.subject().is_none() => {
            "name the user by --subject SUBJECT, and their issuer by --issuer NAME where the client has users of several"
                .to_owned()
        }
        ValueProblem::MissingIssuer => {
            "--issuer NAME names one of the client's issuers, and it has none: an issuer's `audiences` name its clients"
                .to_owned()
        }
        ValueProblem::RefusedParameter { name, .. } => {
            format!("give another by --param {name}=VALUE")
        }
        ValueProblem::RefusedClaim { name, .. } => format!("give another by --claim {name}=VALUE"),
        ValueProblem::RefusedSubject { .. } => "name another by --subject SUBJECT".to_owned(),
        ValueProblem::UnknownParameter { .. } => "leave out that --param".to_owned(),
    }
    };
    let fix = match refusal {
        Refusal::NameRequired(_) => "choose it by --grant NAME".to_owned(),
        Refusal::Value(problem) => value(problem),
        Refusal::NotGranted
        | Refusal::UploadsOnly { .. }
        | Refusal::Duration { .. }
        | Refusal::LoginEndsSoon
        | Refusal::LoginEnds
        | Refusal::Policy(_) => return refusal.to_string(),
    };
    format!("{refusal}; {fix}")
}

/// The values from the command line.
#[derive(Clone, Copy)]
struct Given<'a> {
    parameters: &'a BTreeMap<String, String>,
    claims: &'a BTreeMap<String, String>,
}

/// Refuses an issuer that is not one of the client's, or none if there are several.
fn check_issuer(
    settings: &Settings,
    client: &ClientId,
    issuer: Option<&IssuerName>,
    has_subject: bool,
) -> Result<(), Failure> {
    let issuers = settings.rules.issuers.iter().filter(|issuer| issuer.serves(client));
    let ids: Vec<_> = issuers.map(|issuer| &issuer.id).collect();
    let wrong = match issuer {
        Some(issuer) if !ids.contains(&issuer) => {
            format!("--issuer: `{client}` has no users of `{issuer}`")
        }
        None if has_subject && ids.len() > 1 => {
            format!("--issuer: `{client}` has users of several issuers: say whose this one is")
        }
        Some(_) | None => return Ok(()),
    };
    let known: Vec<_> = ids.iter().map(|id| format!("`{id}`")).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Err(Failure::new(EXIT_CONFIG, format!("{wrong}; its issuers are: {known}")))
}

/// Refuses names that the configuration does not have, and lists those it has: the operator may know them, callers may not.
fn check_names(
    grants: &Grants,
    client: &ClientId,
    grant: Option<&str>,
    given: Given<'_>,
) -> Result<(), Failure> {
    let refuse = |problem: String| Err(Failure::new(EXIT_CONFIG, problem));
    if !grants.of_clients.contains_key(client) {
        let there_are = list(grants.of_clients.keys());
        return refuse(format!("there is no client `{client}`; there are: {there_are}"));
    }
    let own: Vec<_> = grants.of(client).collect();
    let chosen = match grant {
        Some(name) => own.iter().find(|own| own.name.as_str() == name),
        // Of several without a default, one must be named, and the refusal says so.
        None => own.iter().find(|own| Some(&own.name) == grants.unnamed(client)),
    };
    let Some(chosen) = chosen else {
        return match grant {
            Some(name) if own.is_empty() => {
                refuse(format!("the client `{client}` has no grant, and so not `{name}`"))
            }
            Some(name) => {
                let has = list(own.iter().map(|own| &own.name));
                refuse(format!("the client `{client}` has no grant `{name}`; it has: {has}"))
            }
            None => Ok(()),
        };
    };
    let rules = chosen.template.rules();
    for (option, noun, values, declared) in [
        ("--param", "parameter", given.parameters, &rules.params),
        ("--claim", "claim", given.claims, &rules.claims),
    ] {
        let is_declared = |name: &String| declared.keys().any(|own| own.as_str() == name);
        let Some(unknown) = values.keys().find(|name| !is_declared(name)) else { continue };
        let grant = &chosen.name;
        return refuse(match list(declared.keys()) {
            none if none.is_empty() => {
                format!("{option} {unknown}: the grant `{grant}` declares no {noun}s")
            }
            known => format!(
                "{option} {unknown}: the grant `{grant}` declares no such {noun}; it declares: {known}"
            ),
        });
    }
    Ok(())
}

fn list(names: impl Iterator<Item = impl ToString>) -> String {
    let mut names: Vec<_> = names.map(|name| format!("`{}`", name.to_string())).collect();
    names.sort();
    names.join(", ")
}

/// The values by name; a repeated name is refused.
fn each_once(
    option: &str,
    pairs: Vec<(String, String)>,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut given = BTreeMap::new();
    for (name, value) in pairs {
        if given.contains_key(&name) {
            return Err(Failure::new(EXIT_CONFIG, format!("{option} {name} is given twice")));
        }
        given.insert(name, value);
    }
    Ok(given)
}

fn explain(args: ExplainArgs) -> Result<(), Failure> {
    let policy = session_policy(args.call)?;
    let conditions = each_once("--condition", args.conditions)?;
    let request = Request::new(&args.action, &args.resource, conditions);
    let request = request.map_err(|problem| Failure::new(EXIT_CONFIG, problem))?;
    let roles = args.role_policies.iter().map(|file| {
        RolePolicy::parse(&read(file)?).map_err(|problems| {
            let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
            Failure::new(EXIT_CONFIG, format!("{}:\n{}", file.display(), lines.join("\n")))
        })
    });
    let explanation = Explanation::of(&policy, roles.collect::<Result<_, _>>()?, &request);
    if args.json {
        let json = serde_json::to_string(&explanation);
        say(json.expect("an explanation is plain JSON"))?;
    } else {
        print_table(&explanation)?;
    }
    if args.exit_code && !explanation.allowed {
        return Err(Failure::new(EXIT_DENIED, "the action is denied"));
    }
    Ok(())
}

fn print_table(explanation: &Explanation) -> Result<(), Failure> {
    let colour = if explanation.allowed { Colour::Green } else { Colour::Red };
    let by = explanation.decided_by.as_ref();
    let by = by.map_or_else(|| "no statement allows it".to_owned(), |by| format!("by {by}"));
    say_verdict(colour, explanation.verdict, format_args!(": {by}"))?;
    say("")?;
    match &explanation.operation {
        Some(operation) => {
            say_line(format_args!("  {operation}, which {} allows", explanation.action))?;
        }
        None => say_line(format_args!("  {}", explanation.action))?,
    }
    say_line(format_args!("  on {}", explanation.resource))?;
    say("")?;
    for note in &explanation.notes {
        say_line(format_args!("  note: {note}"))?;
        say("")?;
    }
    let longest = explanation.statements.iter().map(|judged| judged.statement.len()).max();
    for StatementVerdict { statement, effect, because, .. } in &explanation.statements {
        let width = longest.unwrap_or(0);
        say_line(format_args!("  {statement:width$}  {effect:5}  {because}"))?;
    }
    say(format_args!("\n{}\n\n{}", explanation.policy, explanation.scope))
}

pub(super) fn read(file: &Path) -> Result<String, Failure> {
    config::read_argument(file)
        .map_err(|error| Failure::new(EXIT_CONFIG, format!("{}: {error}", file.display())))
}

fn lint(files: &[PathBuf], breadth: Breadth, shared: &[SharedResource]) -> Result<(), Failure> {
    let (mut count, mut broad, mut shares) = (0, false, false);
    for file in files {
        let LintReport { problems, not_disjoint, warnings } =
            lint_file(&read(file)?, breadth, shared);
        for problem in &problems {
            say_line(format_args!("{}: {problem}", file.display()))?;
        }
        if let Some(problem) = &not_disjoint {
            say_line(format_args!("{}: {problem}", file.display()))?;
        }
        for warning in &warnings {
            say_line(format_args!("warning: {}: {warning}", file.display()))?;
        }
        count += problems.len() + usize::from(not_disjoint.is_some());
        shares |= not_disjoint.is_some();
        broad |= problems.iter().any(PolicyProblem::is_breadth);
    }
    if count == 0 {
        Ok(())
    } else {
        let fix = if broad {
            "; for a grant that sets `allow_broad`, lint with --allow-broad"
        } else if shares {
            "; for a grant that sets `allow_shared`, lint with --allow-shared RESOURCE"
        } else {
            ""
        };
        let problem = format!("{count} problem(s) in the policy templates{fix}");
        Err(Failure::new(EXIT_CONFIG, problem))
    }
}
