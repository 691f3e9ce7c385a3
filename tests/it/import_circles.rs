//! No import circle is longer than three files: the files of a circle can only be read, tested and moved together.
//!
//! An import counts for the file that declares the imported name: a `mod.rs` that only re-exports a name is not part of it.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::Visit;

use crate::sources::rust_files;

/// The longest allowed circle.
const LONGEST: usize = 3;

/// The modules of one crate, by their paths from its root.
#[derive(Default)]
struct Modules {
    /// The file of each module.
    files: BTreeMap<Vec<String>, String>,
    /// The names that each module's `use` declarations introduce, with their targets: an import of a name that the module
    /// re-exports is an import from the target.
    aliases: BTreeMap<Vec<String>, BTreeMap<String, Vec<String>>>,
}

impl Modules {
    /// The modules of the crate whose sources are in this folder, and the names in each of its files.
    fn read(folder: &str) -> (Self, BTreeMap<String, Names>) {
        let mut modules = Self::default();
        let mut names = BTreeMap::new();
        for (file, text) in rust_files(&[folder]) {
            let path = file.strip_prefix(folder).unwrap().trim_start_matches('/');
            let path = path.trim_end_matches(".rs");
            let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
            module.pop_if(|last| ["mod", "lib", "main"].contains(&last.as_str()));
            // Tests may import anything.
            if module.iter().any(|part| part == "tests") {
                continue;
            }
            let mut found = Names { module: module.clone(), ..Names::default() };
            found.visit_file(&syn::parse_file(&text).unwrap());
            modules.aliases.insert(module.clone(), found.aliases.clone());
            modules.files.insert(module, file.clone());
            names.insert(file, found);
        }
        (modules, names)
    }

    /// The file that declares what a path from the crate's root names.
    fn declaring(&self, path: &[String]) -> Option<&String> {
        let mut path = path.to_vec();
        // A bound for the number of re-exports of one name.
        'reexported: for _ in 0..8 {
            for at in 0..path.len() {
                let (module, rest) = path.split_at(at);
                let is_module = self.files.contains_key(&path[..=at]);
                let alias = self.aliases.get(module).and_then(|aliases| aliases.get(&rest[0]));
                if let (false, Some(target)) = (is_module, alias)
                    && target.as_slice() != &path[..=at]
                {
                    path = [target, &rest[1..]].concat();
                    continue 'reexported;
                }
            }
            break;
        }
        (0..=path.len()).rev().find_map(|length| self.files.get(&path[..length]))
    }
}

/// The paths in one file, from the crate's root.
#[derive(Default)]
struct Names {
    module: Vec<String>,
    /// The names that `use` declarations introduce, with their targets.
    aliases: BTreeMap<String, Vec<String>>,
    /// Without re-exports, which the file does not use itself.
    used: BTreeSet<Vec<String>>,
}

impl Names {
    /// The path from the crate's root; `None` if it leads out of it. A path into another crate names no file later on.
    fn resolved(&self, path: &[String]) -> Option<Vec<String>> {
        let (first, mut rest) = path.split_first()?;
        let mut base = match first.as_str() {
            "crate" => Vec::new(),
            "self" => self.module.clone(),
            "super" => self.module[..self.module.len().checked_sub(1)?].to_vec(),
            // A child module, or a name from a `use` declaration.
            _ => {
                rest = path;
                self.module.clone()
            }
        };
        while let Some(("super", further)) =
            rest.split_first().map(|(one, all)| (one.as_str(), all))
        {
            base.pop()?;
            rest = further;
        }
        Some([&base, rest].concat())
    }

    fn walk(&mut self, prefix: &[String], tree: &syn::UseTree, is_reexport: bool) {
        let with = |ident: &syn::Ident| [prefix, &[ident.to_string()]].concat();
        let (name, path) = match tree {
            syn::UseTree::Path(path) => {
                return self.walk(&with(&path.ident), &path.tree, is_reexport);
            }
            syn::UseTree::Group(group) => {
                return group.items.iter().for_each(|item| self.walk(prefix, item, is_reexport));
            }
            syn::UseTree::Name(name) if name.ident == "self" => {
                (prefix.last().unwrap().clone(), prefix.to_vec())
            }
            syn::UseTree::Name(name) => (name.ident.to_string(), with(&name.ident)),
            syn::UseTree::Rename(rename) => (rename.rename.to_string(), with(&rename.ident)),
            syn::UseTree::Glob(_) => ("*".to_owned(), prefix.to_vec()),
        };
        if let Some(resolved) = self.resolved(&path) {
            if !is_reexport {
                self.used.insert(resolved.clone());
            }
            self.aliases.insert(name, resolved);
        }
    }
}

impl Visit<'_> for Names {
    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        let is_reexport = !matches!(item.vis, syn::Visibility::Inherited);
        self.walk(&[], &item.tree, is_reexport);
    }

    fn visit_path(&mut self, path: &syn::Path) {
        let segments: Vec<_> =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        // A single name is local or from a `use` declaration.
        if segments.len() > 1 {
            self.used.extend(self.resolved(&segments));
        }
        syn::visit::visit_path(self, path);
    }

    /// `pub(super)` imports nothing.
    fn visit_vis_restricted(&mut self, _: &syn::VisRestricted) {}

    fn visit_item_mod(&mut self, item: &syn::ItemMod) {
        // Tests may import anything. Another inline module counts as part of its file.
        if item.ident != "tests" {
            syn::visit::visit_item_mod(self, item);
        }
    }
}

/// Groups of files that all import each other, directly or indirectly.
fn circles(imports: &BTreeMap<String, BTreeSet<String>>) -> Vec<BTreeSet<String>> {
    let reachable = |from: &String| {
        let mut found = BTreeSet::new();
        let mut next = vec![from.clone()];
        while let Some(file) = next.pop() {
            for import in imports.get(&file).into_iter().flatten() {
                if found.insert(import.clone()) {
                    next.push(import.clone());
                }
            }
        }
        found
    };
    let reached: BTreeMap<_, _> = imports.keys().map(|file| (file, reachable(file))).collect();
    let circles: BTreeSet<BTreeSet<String>> = reached
        .iter()
        .filter(|(file, all)| all.contains(**file))
        .map(|(file, all)| {
            all.iter().filter(|other| reached[other].contains(*file)).cloned().collect()
        })
        .collect();
    circles.into_iter().collect()
}

/// Which files of the crate each file imports.
fn imports(folder: &str) -> BTreeMap<String, BTreeSet<String>> {
    let (modules, names) = Modules::read(folder);
    names
        .iter()
        .map(|(file, names)| {
            let imported = names.used.iter().filter_map(|path| modules.declaring(path));
            (file.clone(), imported.filter(|other| *other != file).cloned().collect())
        })
        .collect()
}

#[test]
fn no_import_circle_is_longer_than_three_files() {
    let found: Vec<BTreeSet<String>> =
        ["src", "crates/domain/src", "crates/policy/src", "crates/emulator/src"]
            .iter()
            .flat_map(|folder| circles(&imports(folder)))
            .filter(|circle| circle.len() > LONGEST)
            .collect();
    assert!(found.is_empty(), "files import each other in a circle: {found:#?}");
}

#[test]
fn an_import_is_of_the_file_that_declares_the_name() {
    let file = |module: &str| (vec![module.to_owned()], format!("{module}.rs"));
    let declares = |module: &str, source: &str| {
        let mut names = Names { module: vec![module.to_owned()], ..Names::default() };
        names.visit_file(&syn::parse_file(source).unwrap());
        names
    };
    let passes_on = declares("front", "pub(crate) use crate::back::Type; use super::side::Other;");
    let modules = Modules {
        files: ["front", "back", "side"].map(file).into(),
        aliases: [(vec!["front".to_owned()], passes_on.aliases.clone())].into(),
    };
    for (source, expected) in [
        ("use crate::front::Type;", "back.rs"),
        ("use super::front::Type as Renamed;", "back.rs"),
        ("use super::{front::{Type}};", "back.rs"),
        ("use crate::front::Other;", "side.rs"),
        ("fn f() -> crate::front::Own { todo!() }", "front.rs"),
        ("fn f() { super::front::Type::new() }", "back.rs"),
        ("use super::front; fn f() { front::own() }", "front.rs"),
    ] {
        let names = declares("here", source);
        let found: BTreeSet<_> =
            names.used.iter().filter_map(|path| modules.declaring(path)).collect();
        assert!(found.contains(&expected.to_owned()), "{source}: {found:?}");
    }
    let passed_on: Vec<_> =
        passes_on.used.iter().filter_map(|path| modules.declaring(path)).collect();
    assert_eq!(passed_on, ["side.rs"]);
    let circle = [("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")];
    let circle = circle.map(|(from, to)| (from.to_owned(), [to.to_owned()].into()));
    assert_eq!(circles(&circle.into()), [["a", "b", "c"].map(str::to_owned).into()]);
}
