//! Imports point one way; read from the `use` paths and the paths in the code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syn::visit::Visit;

/// Which top-level modules each may import. `clock` and `telemetry` are open to all.
fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let table: [(&str, &[&str]); 14] = [
        ("domain", &[]),
        ("clock", &[]),
        ("telemetry", &["domain"]),
        ("policy", &["domain"]),
        ("sts", &["policy", "domain"]),
        ("vend", &["sts", "policy", "domain"]),
        ("auth", &["domain"]),
        ("grant", &["auth", "sts", "policy", "domain"]),
        ("http", &["auth", "grant", "vend", "sts", "policy", "domain"]),
        ("config", &["http", "auth", "grant", "vend", "sts", "policy", "domain"]),
        ("app", &["config", "http", "auth", "grant", "vend", "sts", "policy", "domain"]),
        ("emulator", &["domain"]),
        ("cli", &["app", "config", "auth", "grant", "policy", "sts", "emulator", "domain"]),
        ("main", &["cli"]),
    ];
    let open = ["clock", "telemetry"];
    table
        .into_iter()
        .map(|(module, own)| {
            let open = open
                .iter()
                .filter(|open| !["domain", "clock"].contains(&module) || **open == module);
            (module, own.iter().chain(open).copied().collect())
        })
        .collect()
}

/// Collects the first segment after `crate::` (or `appserver::`) of every path.
#[derive(Default)]
struct Imports(BTreeSet<String>);

impl Imports {
    fn note(&mut self, segments: &[String]) {
        if let [root, module, ..] = segments
            && (root == "crate" || root == "appserver")
        {
            self.0.insert(module.clone());
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
                group.items.iter().for_each(|item| self.walk(prefix, item))
            }
        }
    }
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

    fn visit_item_mod(&mut self, item: &syn::ItemMod) {
        // Tests may look upwards.
        if item.ident != "tests" {
            syn::visit::visit_item_mod(self, item);
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
    for file in files.iter().filter(|file| !file.ends_with("lib.rs") && !file.ends_with("tests.rs"))
    {
        let relative = file.strip_prefix(&src).unwrap();
        let module = relative.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        let mut imports = Imports::default();
        imports.visit_file(&syn::parse_file(&std::fs::read_to_string(file).unwrap()).unwrap());
        for import in imports.0.iter().filter(|import| *import != module) {
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
