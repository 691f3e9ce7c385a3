//! The documents for operators match the code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use appserver::config::{self, Environment, Mode};
use regex::Regex;

use crate::certificates::Pki;
use crate::redis_server::{CLUSTER_RIGHTS, MASTER_RIGHTS, RIGHTS, SENTINEL_RIGHTS};
use crate::sources::rust_files;
use crate::stage::{Setting, Stage, repository};

/// The keys of the configuration: the fields of the sections' raw structs.
fn keys() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/sections");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut keys = Vec::new();
    for file in files {
        let file = syn::parse_file(&std::fs::read_to_string(file).unwrap()).unwrap();
        let structs = file.items.iter().filter_map(|item| match item {
            // The resolved form of a section is next to its raw form.
            syn::Item::Struct(item) if item.ident.to_string().starts_with("Raw") => Some(item),
            _ => None,
        });
        let fields = structs.flat_map(|item| &item.fields);
        keys.extend(fields.map(|field| {
            let name = field.ident.as_ref().unwrap().to_string();
            name.trim_start_matches("r#").to_owned()
        }));
    }
    keys
}

#[test]
fn default_toml_documents_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/default.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let documents = |key: &str| {
        text.lines().map(|line| line.trim_start_matches("# ")).any(|line| {
            line.starts_with(&format!("{key} = "))
                // In an inline table.
                || [format!("{{ {key} = "), format!(", {key} = ")].iter().any(|at| line.contains(at))
                || (line.starts_with('[')
                    && line.trim_matches(['[', ']']).split('.').any(|part| part == key))
        })
    };
    let keys = keys();
    assert!(keys.len() > 40, "the raw sections were not read");
    let missing: Vec<_> = keys.into_iter().filter(|key| !documents(key)).collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn the_page_of_sdks_names_the_tested_sdks_and_versions() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let package: serde_json::Value =
        serde_json::from_str(&read("tests/sdk/node/package.json")).unwrap();
    let node = package["dependencies"].as_object().unwrap().iter();
    let node = node.map(|(name, version)| (name.clone(), version.as_str().unwrap().to_owned()));
    // The imports of the tests are first, up to an empty line.
    let requirements = read("tests/sdk/python/requirements.txt");
    let python = requirements.lines().take_while(|line| !line.is_empty());
    let python = python.filter_map(|line| line.split_once("=="));
    let python = python.map(|(name, version)| (name.to_owned(), version.to_owned()));
    let sdks: Vec<_> = node.chain(python).filter(|(name, _)| name != "pytest").collect();
    assert!(sdks.len() > 5, "the pinned versions were not read");

    let page = read("docs/connect/README.md");
    let is_named = |name: &str, version: &str| {
        page.lines().any(|line| {
            line.starts_with(&format!("| `{name}` (")) && line.contains(&format!(") | {version} |"))
        })
    };
    let missing: Vec<_> = sdks.iter().filter(|(name, version)| !is_named(name, version)).collect();
    assert_eq!(missing, Vec::<&(String, String)>::new());
}

/// The files that operators read, and the folders of them.
const DOCUMENTS: [&str; 5] = ["README.md", "Dockerfile", "config", "docs", "deploy"];

fn documents() -> Vec<PathBuf> {
    let mut found: Vec<_> =
        DOCUMENTS.map(|name| Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).into();
    let mut next = 0;
    while let Some(path) = found.get(next).cloned() {
        if let Ok(entries) = std::fs::read_dir(&path) {
            found.extend(entries.map(|entry| entry.unwrap().path()));
        }
        next += 1;
    }
    found.retain(|path| path.is_file());
    found
}

/// The tags of the image, the chart, and the changelog.
#[test]
fn the_files_below_deploy_name_this_version() {
    let version = env!("CARGO_PKG_VERSION");
    let chart = "deploy/helm/appserver/Chart.yaml";
    for (file, line) in [
        ("deploy/compose.yaml", format!("    image: appserver:{version}\n")),
        ("deploy/kubernetes/kustomization.yaml", format!("    newTag: {version}\n")),
        (chart, format!("\nversion: {version}\n")),
        (chart, format!("\nappVersion: {version}\n")),
        ("docs/CHANGELOG.md", format!("\n## {version}\n")),
    ] {
        let text = std::fs::read_to_string(crate::stage::repository(file)).unwrap();
        assert!(text.contains(&line), "{file} has no `{}`", line.trim());
    }
}

/// The metrics that a text names; `appserver_vend_…` is a group of them and not one. Those of the process have no prefix of
/// ours.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let starts = [
        "appserver_",
        "process_cpu_",
        "process_resident_",
        "process_virtual_",
        "process_open_",
        "process_max_",
    ];
    let starts = starts.into_iter().flat_map(|start| text.match_indices(start));
    let starts = starts.map(|(start, _)| &text[start..]);
    let name = |rest: &str| {
        let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_');
        rest[..end.unwrap_or(rest.len())].to_owned()
    };
    starts.map(name).filter(|name| !name.ends_with('_')).collect()
}

/// Present for issuers whose keys are fetched, for credentials that expire, with tracing, and with a list of revocations; the
/// demo has none of these.
const OF_FETCHED: [&str; 6] = [
    "appserver_revocations",
    "appserver_revocations_up",
    "appserver_trace_failed_exports_total",
    "appserver_jwks_keys",
    "appserver_jwks_age_seconds",
    "appserver_upstream_identity_expiry_timestamp_seconds",
];

/// A metric that operators copy into an alert exists under exactly this name, including `_total`.
#[tokio::test]
async fn every_metric_in_the_documents_exists() {
    // With TLS, for the metrics of certificates.
    let pki = Pki::new();
    let config = format!("[server]\n{}", pki.config("off"));
    let stage = Stage::set(Setting { config: &config, ..Setting::default() }).await;
    let (_, text) = stage.admin("/metrics").await;
    stage.close().await;
    let mut present = metrics_in(&text);
    present.extend(OF_FETCHED.map(str::to_owned));
    // Counters and histograms with labels are absent before their first event; their names are in the code.
    let telemetry = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/telemetry");
    let code = std::fs::read_dir(telemetry).unwrap().map(|file| file.unwrap().path());
    let code: String = code
        .filter(|path| path.is_file())
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let is_registered = |name: &str| {
        let name = name.trim_start_matches("appserver_");
        let counted = ["_total", "_seconds", "_seconds_count", "_seconds_sum", "_seconds_bucket"];
        let Some(family) = counted.iter().find_map(|end| name.strip_suffix(end)) else {
            return false;
        };
        // Of a group's metrics the code has the end of the name.
        let tails = family.match_indices('_').map(|(at, _)| &family[at + 1..]);
        [family].into_iter().chain(tails).any(|tail| code.contains(&format!("\"{tail}\",")))
    };
    let mut named = 0;
    let mut unknown = Vec::new();
    for document in documents() {
        let Ok(text) = std::fs::read_to_string(&document) else { continue };
        for name in metrics_in(&text) {
            named += 1;
            if !present.contains(&name) && !is_registered(&name) {
                unknown.push(format!("{}: {name}", document.display()));
            }
        }
    }
    assert!(named > 20, "the documents were not read");
    assert_eq!(unknown, Vec::<String>::new());
}

/// Prometheus sees no increase in a series that appears with its first event, so the series of alerts exist before.
#[tokio::test]
async fn every_metric_of_the_alert_table_exists_right_after_the_start() {
    let pki = Pki::new();
    let config = format!("[server]\n{}", pki.config("off"));
    let stage = Stage::set(Setting { config: &config, ..Setting::default() }).await;
    let (_, text) = stage.admin("/metrics").await;
    stage.close().await;
    let samples: BTreeSet<_> =
        text.lines().filter(|line| !line.starts_with('#')).flat_map(metrics_in).collect();
    // A row of the table begins with the metric.
    let page = std::fs::read_to_string(repository("docs/operate/alerts.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let rows = rows.map(|row| row.split(" | ").next().unwrap());
    let watched: BTreeSet<_> = rows.flat_map(metrics_in).collect();
    assert!(watched.len() > 15, "the table was not read: {watched:?}");
    let missing: Vec<_> = watched
        .iter()
        .filter(|name| !samples.contains(*name) && !OF_FETCHED.contains(&name.as_str()))
        .collect();
    assert_eq!(missing, Vec::<&String>::new());
    // Each reason, bound, limit and operation has its own series.
    for line in [
        r#"appserver_requests_failed_total{reason="sts_unreachable"} 0"#,
        r#"appserver_throttled_total{client="",limit="address-failures",mode="enforce"} 0"#,
        r#"appserver_store_replaced_total{operation="budget"} 0"#,
        r#"appserver_tls_handshakes_failed_total{reason="bad_certificate"} 0"#,
        r#"appserver_proxy_protocol_errors_total{reason="untrusted"} 0"#,
        r#"appserver_vend_lookups_total{outcome="stale"} 0"#,
        r#"appserver_vend_refreshes_total{outcome="failed"} 0"#,
        r#"appserver_upstream_identity_renewals_total{outcome="failed"} 0"#,
    ] {
        assert!(text.lines().any(|other| other == line), "{line} is not in {text}");
    }
}

/// The pages' blocks of TOML are pasted into configurations. All of them together, over the example for production,
/// have no problems except missing files, the placeholder `…`, and a client that only the reader has. Those that choose an
/// upstream identity or a Redis exclude each other, and are valid one by one.
#[test]
fn the_configuration_in_the_pages_loads() {
    let pages: String = pages().iter().map(|(_, text)| text.as_str()).collect();
    let blocks = pages.split("\n```toml\n").skip(1);
    let is_choice =
        |block: &&str| block.starts_with("[sts.identity]\n") || block.starts_with("[store]\n");
    let (choices, blocks): (Vec<_>, Vec<_>) = blocks.partition(is_choice);
    assert!(blocks.len() >= 10 && choices.len() >= 6, "the blocks were not read");
    let folder = tempfile::tempdir().unwrap();
    let block = |(number, block): (usize, &&str)| {
        let file = folder.path().join(format!("{number:02}.toml"));
        std::fs::write(&file, block.split("\n```").next().unwrap()).unwrap();
        file
    };
    let example = repository("config/production.example.toml");
    for file in choices.iter().enumerate().map(block) {
        config::load(&[example.clone(), file], &Environment::new(), Mode::Production).unwrap();
    }
    let files = blocks.iter().enumerate().map(block);
    let files: Vec<_> = [example].into_iter().chain(files).collect();
    let problems = config::load(&files, &Environment::new(), Mode::Production).unwrap_err();
    let root = std::fs::canonicalize(folder.path()).unwrap().display().to_string();
    insta::assert_snapshot!(problems.to_string().replace(&root, "<folder>"), @r"
clients.photo-app-ios.secret_sha256: a secret's hash is the 64 hex digits of its SHA-256; `appserver client new` prints one
grants.one-album.policy: <folder>/policies/one-album.json: No such file or directory (os error 2)
grants.photo-upload.policy: <folder>/policies/photo-upload.json: No such file or directory (os error 2)
issuers.company.client_ids.com.example.Photos: no audience has the client `photo-app-android`
issuers.mini-program.jwks_file: <folder>/mini-program.jwks.json: No such file or directory (os error 2)
");
}

/// The documented permissions of Redis's user are those of the tests' user, and the tests need no others.
#[test]
fn the_documented_rights_in_redis_are_those_of_the_tests() {
    let page = std::fs::read_to_string(repository("docs/operate/redis.md")).unwrap();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for rights in [RIGHTS, CLUSTER_RIGHTS, MASTER_RIGHTS, SENTINEL_RIGHTS] {
        assert!(words(&page).contains(&words(rights)), "{rights}");
    }
}

/// README.md and the pages of docs/, each with its name. Translations are left out: they repeat the blocks.
fn pages() -> Vec<(String, String)> {
    let mut files = documents();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "md"));
    files.retain(|file| !file.components().any(|part| part.as_os_str() == "zh-CN"));
    files.sort();
    let page = |file: PathBuf| {
        let name = file.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display().to_string();
        (name, std::fs::read_to_string(file).unwrap())
    };
    files.into_iter().map(page).collect()
}

#[test]
fn the_table_of_contents_has_every_page() {
    let contents = std::fs::read_to_string(repository("docs/README.md")).unwrap();
    let names = pages().into_iter().map(|(name, _)| name);
    let pages: Vec<_> =
        names.filter_map(|name| Some(name.strip_prefix("docs/")?.to_owned())).collect();
    assert!(pages.len() > 20, "the pages were not read");
    let is_missing =
        |page: &String| page != "README.md" && !contents.contains(&format!("({page})"));
    assert_eq!(pages.iter().filter(|page| is_missing(page)).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn the_page_of_metrics_has_every_metric() {
    let page = std::fs::read_to_string(repository("docs/operate/metrics.md")).unwrap();
    let documented: Vec<_> = metrics_in(&page)
        .into_iter()
        .map(|name| {
            let name = name.trim_start_matches("appserver");
            let name = name.strip_suffix("_total").unwrap_or(name);
            name.strip_suffix("_seconds").unwrap_or(name).to_owned()
        })
        .collect();
    let registered = Regex::new(r#"\.register(?:_with_unit)?\(\s*"([a-z_]+)""#).unwrap();
    let sources = rust_files(&["src", "crates"]);
    let names: Vec<_> = sources
        .iter()
        .flat_map(|(_, source)| registered.captures_iter(source))
        // Of a group's metrics the code has the end of the name.
        .map(|found| format!("_{}", &found[1]))
        .collect();
    assert!(names.len() > 30, "the metrics were not read");
    // Groups may share an end: as many must be documented as are registered.
    let is_missing = |name: &&String| {
        let registered = names.iter().filter(|other| other == name).count();
        documented.iter().filter(|known| known.ends_with(*name)).count() < registered
    };
    assert_eq!(names.iter().filter(is_missing).collect::<Vec<_>>(), [""; 0]);
}

/// The codes of the contract, as its document lists them.
#[tokio::test]
async fn the_page_of_errors_has_every_code() {
    let stage = Stage::demo().await;
    let document = stage.get("client-001", "/openapi.json").await.body.to_string();
    stage.close().await;
    let pattern = Regex::new(r#""(\^\(InvalidParameter[^"]*)""#).unwrap();
    let pattern: String = serde_json::from_str(&pattern.captures(&document).unwrap()[0]).unwrap();
    let codes = pattern.trim_start_matches("^(").trim_end_matches(")$").split('|');
    let codes: Vec<_> =
        codes.map(|code| code.split(r"\.[").next().unwrap().replace('\\', "").clone()).collect();
    assert!(codes.len() > 15 && codes.contains(&"Forbidden.Grant".to_owned()), "{codes:?}");
    let page = std::fs::read_to_string(repository("docs/errors.md")).unwrap();
    let is_missing = |code: &&String| !page.contains(&format!(" | `{code}"));
    assert_eq!(codes.iter().filter(is_missing).collect::<Vec<_>>(), [""; 0]);
}

/// Keys are written as `section.key`.
#[test]
fn every_configuration_key_in_the_pages_exists() {
    let keys = keys();
    let sections = "server|admin|log|tracing|reload|audit|sts|vend|store|failures|tickets";
    let named = Regex::new(&format!(r"`(?:{sections})((?:\.[a-z_]+)+)[` ]")).unwrap();
    let mut count = 0;
    let mut unknown = Vec::new();
    // Fields of the log have the same form.
    for (page, text) in pages().into_iter().filter(|(page, _)| page != "docs/operate/logs.md") {
        for found in named.captures_iter(&text) {
            let parts = found[1].trim_start_matches('.').split('.');
            let all = parts.into_iter().all(|part| keys.iter().any(|key| key == part));
            count += 1;
            if !all {
                unknown.push(format!("{page}: {}", &found[0]));
            }
        }
    }
    assert!(count > 20, "the keys were not read");
    assert_eq!(unknown, Vec::<String>::new());
}

/// A reviewer can find the test of each threat.
#[test]
fn every_test_named_in_the_pages_exists() {
    let (sources, keys) = (rust_files(&["src", "crates", "tests/it"]), keys());
    let named = Regex::new("`([a-z0-9]+(?:_[a-z0-9]+){3,})`").unwrap();
    let mut count = 0;
    let mut missing = Vec::new();
    for page in ["docs/THREAT-MODEL.md", "docs/CONTRIBUTING.md"] {
        let text = std::fs::read_to_string(repository(page)).unwrap();
        for found in named.captures_iter(&text) {
            count += 1;
            let test = format!("fn {}(", &found[1]);
            let is_key = keys.iter().any(|key| *key == found[1]);
            if !is_key && !sources.iter().any(|(_, source)| source.contains(&test)) {
                missing.push(format!("{page}: {}", &found[1]));
            }
        }
    }
    assert!(count > 40, "the names of tests were not read");
    assert_eq!(missing, Vec::<String>::new());
}

/// Readers of the Chinese pages copy the same commands and configuration.
#[test]
fn the_translations_have_the_same_blocks_as_the_english_pages() {
    let folder = repository("docs/zh-CN");
    let mut pages = documents();
    pages.retain(|file| file.starts_with(&folder));
    assert!(pages.len() >= 10, "the translations were not read");
    let blocks = |file: &Path| {
        let text = std::fs::read_to_string(file).unwrap();
        let block = Regex::new("(?ms)^```.*?^```$").unwrap();
        block.find_iter(&text).map(|block| block.as_str().to_owned()).collect::<Vec<_>>()
    };
    for page in pages {
        let name = page.strip_prefix(&folder).unwrap();
        let english = match name.to_str().unwrap() {
            "README.md" => repository("README.md"),
            name => repository("docs").join(name),
        };
        assert_eq!(blocks(&page), blocks(&english), "{}", name.display());
    }
}
