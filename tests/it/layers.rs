//! Imports point one way; read from the `use` paths and the paths in the code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syn::visit::Visit;

/// Which of its own top-level modules, and of the workspace's members, each module of the service may import. `telemetry`
/// is open to all.
fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    // One row a line, so that changes of two rows do not conflict.
    #[rustfmt::skip]
    let table: &[(&str, &[&str])] = &[
        ("backoff", &[]),
        ("json_member", &[]),
        ("breaker", &[]),
        ("single_flight", &[]),
        ("outbound", &["domain"]),
        ("telemetry", &["outbound", "domain"]),
        ("audit", &["json_member", "vend", "domain"]),
        ("sts", &["backoff", "outbound", "policy", "domain"]),
        ("upstream", &["backoff", "outbound", "sts", "domain"]),
        ("ram", &["backoff", "outbound", "sts", "domain"]),
        ("oss_bucket", &["sts", "domain"]),
        ("seal", &["domain"]),
        ("store", &["backoff", "seal", "domain"]),
        ("limit", &["store", "domain"]),
        ("revocation", &["auth", "store", "domain"]),
        ("decision", &["breaker", "outbound", "single_flight", "domain"]),
        ("vend", &["breaker", "single_flight", "sts", "store", "policy", "domain"]),
        ("capacity", &["vend"]),
        ("callback", &["audit", "backoff", "outbound", "oss_bucket", "policy", "seal", "sign", "store", "sts", "vend", "domain"]),
        ("auth", &["backoff", "outbound", "seal", "domain"]),
        ("grant", &["auth", "oss_bucket", "sign", "sts", "policy", "domain"]),
        ("bucket_policy", &["oss_bucket", "outbound", "sign", "domain"]),
        ("sign", &["sts", "policy", "domain"]),
        ("server", &["auth", "limit", "domain"]),
        ("http", &["json_member", "revocation", "server", "audit", "auth", "callback", "decision", "limit", "oss_bucket", "grant", "sign", "vend", "store", "sts", "policy", "domain"]),
        ("config", &["revocation", "breaker", "outbound", "server", "http", "audit", "auth", "callback", "decision", "limit", "oss_bucket", "grant", "sign", "vend", "upstream", "sts", "store", "seal", "policy", "domain"]),
        ("app", &["revocation", "backoff", "config", "outbound", "limit", "server", "http", "audit", "auth", "callback", "decision", "grant", "vend", "upstream", "sts", "store", "policy", "domain"]),
        // Like `app` it begins with settings and builds parts from them, to test them and not to serve.
        ("doctor", &["config", "outbound", "auth", "grant", "sign", "vend", "upstream", "sts", "store", "policy", "domain"]),
        // A plan begins with settings, too.
        ("setup", &["config", "grant", "upstream", "ram", "policy", "domain"]),
        ("dev", &["config", "grant", "sign", "emulator", "domain"]),
        ("cli", &["bucket_policy", "capacity", "oss_bucket", "revocation", "store", "app", "audit", "outbound", "config", "doctor", "setup", "dev", "auth", "grant", "policy", "upstream", "ram", "sts", "emulator", "domain"]),
        // Benchmarks of all layers; no layer may import it.
        ("bench", &["config", "outbound", "http", "auth", "grant", "limit", "vend", "store", "seal", "upstream", "sts", "policy", "domain"]),
        // The list of the fuzz targets; no layer may import it.
        ("fuzz", &["app", "cli", "revocation", "server", "http", "auth", "callback", "decision", "upstream", "sts", "store", "policy", "domain"]),
        ("main", &["cli"]),
    ];
    table
        .iter()
        .map(|(module, own)| (*module, own.iter().copied().chain(["telemetry"]).collect()))
        .collect()
}

/// An import of the whole crate under another name; no row of the table allows it.
const ROOT: &str = "(the crate's root)";

/// Collects the top-level module of every path that begins at the crate or at the current module.
struct Imports {
    /// The current module, from the crate's root.
    module: Vec<String>,
    found: BTreeSet<String>,
}

impl Imports {
    /// The imports of a file's source. The file is named from `src`.
    fn of(file: &Path, source: &str) -> BTreeSet<String> {
        let mut module: Vec<String> =
            file.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        module.pop_if(|last| last == "mod");
        let mut imports = Self { module, found: BTreeSet::new() };
        imports.visit_file(&syn::parse_file(source).unwrap());
        imports.found
    }

    /// The path from the crate's root; none if it begins elsewhere, as a path to another crate or a child does.
    fn resolved(&self, path: &[String]) -> Option<Vec<String>> {
        let (first, mut rest) = path.split_first()?;
        let mut base = match first.as_str() {
            "crate" | "appserver" => Vec::new(),
            // Members of the workspace are layers too.
            "appserver_domain" => vec!["domain".to_owned()],
            "appserver_policy" => vec!["policy".to_owned()],
            "appserver_emulator" => vec!["emulator".to_owned()],
            "self" => self.module.clone(),
            "super" => parent(&self.module),
            _ => return None,
        };
        while let Some((next, further)) = rest.split_first()
            && ["super", "self"].contains(&next.as_str())
        {
            if next == "super" {
                base = parent(&base);
            }
            rest = further;
        }
        Some([&base, rest].concat())
    }

    fn note(&mut self, path: &[String]) {
        if let Some(resolved) = self.resolved(path) {
            self.found.insert(resolved.first().map_or(ROOT, String::as_str).to_owned());
        }
    }

    fn walk(&mut self, prefix: &[String], tree: &syn::UseTree) {
        let with = |ident: &syn::Ident| [prefix, &[ident.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.walk(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.note(&with(&name.ident)),
            syn::UseTree::Rename(rename) => self.note(&with(&rename.ident)),
            syn::UseTree::Glob(_) => self.note(prefix),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|item| self.walk(prefix, item));
            }
        }
    }
}

fn parent(module: &[String]) -> Vec<String> {
    let (_, parent) = module.split_last().expect("the crate's root has no parent");
    parent.to_vec()
}

impl Visit<'_> for Imports {
    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        self.walk(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &syn::Path) {
        let segments: Vec<_> =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.note(&segments);
        syn::visit::visit_path(self, path);
    }

    /// `pub(crate)` and `pub(super)` import nothing.
    fn visit_vis_restricted(&mut self, _: &syn::VisRestricted) {}

    fn visit_item_mod(&mut self, item: &syn::ItemMod) {
        // Tests may import anything.
        if item.ident != "tests" {
            self.module.push(item.ident.to_string());
            syn::visit::visit_item_mod(self, item);
            self.module.pop();
        }
    }
}

fn sources(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn imports_point_one_way() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let allowed = allowed();
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut wrong = Vec::new();
    // As in modules of tests, which may import anything.
    let is_test =
        |file: &Path| file.ends_with("tests.rs") || file.iter().any(|part| part == "tests");
    for file in files
        .iter()
        .filter(|file| !file.ends_with("lib.rs") && !is_test(file.strip_prefix(&src).unwrap()))
    {
        let relative = file.strip_prefix(&src).unwrap();
        let module = relative.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        let imports = Imports::of(relative, &std::fs::read_to_string(file).unwrap());
        for import in imports.iter().filter(|import| *import != module) {
            let may =
                allowed.get(module).unwrap_or_else(|| panic!("`{module}` has no row in the table"));
            if !may.contains(import.as_str()) {
                wrong.push(format!("{} imports `{import}`", relative.display()));
            }
        }
    }
    assert!(files.len() > 40, "the sources were not found");
    assert_eq!(wrong, Vec::<String>::new());
}

/// The members of the workspace in a release build of a member.
#[test]
fn members_of_the_workspace_depend_one_way() {
    for (member, expected) in
        [("domain", vec![]), ("policy", vec!["domain"]), ("emulator", vec!["domain"])]
    {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let manifest = std::fs::read_to_string(root.join("crates").join(member).join("Cargo.toml"));
        let manifest: toml::Table = manifest.unwrap().parse().unwrap();
        let ours = manifest["dependencies"].as_table().unwrap().keys();
        let ours: Vec<_> = ours.filter_map(|name| name.strip_prefix("appserver-")).collect();
        assert_eq!(ours, expected, "{member}");
    }
}

#[test]
fn an_import_is_seen_however_its_path_begins() {
    for (file, source, imported) in [
        ("grant.rs", "use crate::http::Api;", "http"),
        ("main.rs", "use appserver::cli;", "cli"),
        ("grant.rs", "use super::http::Api;", "http"),
        ("grant.rs", "use self::super::http::Api;", "http"),
        ("grant.rs", "use super::{http::Api};", "http"),
        ("grant.rs", "fn f() { super::http::serve() }", "http"),
        ("sts/mod.rs", "use super::http::Api;", "http"),
        ("sts/client.rs", "use super::super::http::Api;", "http"),
        ("sts/client.rs", "use super::http::Api;", "sts"),
        ("sts/client.rs", "use self::http::Api;", "sts"),
        ("auth/jwt/mod.rs", "use super::super::http::Api;", "http"),
        ("auth/jwt/claims.rs", "use super::super::super::http::Api;", "http"),
        ("grant.rs", "use appserver_policy::Request;", "policy"),
        ("grant.rs", "fn f() { appserver_emulator::serve() }", "emulator"),
        ("grant.rs", "mod inner { use super::super::http::Api; }", "http"),
        ("grant.rs", "mod inner { use super::http::Api; }", "grant"),
        ("grant.rs", "use super::*;", ROOT),
        ("grant.rs", "use crate as root;", ROOT),
        ("grant.rs", "use super::{self as root};", ROOT),
    ] {
        let imports = Imports::of(Path::new(file), source);
        assert_eq!(imports, [imported.to_owned()].into(), "{source} in {file}");
    }
    let nothing = "pub(crate) mod a {} use serde::Serialize; #[cfg(test)] mod tests { use super::super::http::Api; }";
    assert_eq!(Imports::of(Path::new("grant.rs"), nothing), BTreeSet::new());
}
