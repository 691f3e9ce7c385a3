//! What is written for operators keeps up with the code.

use std::path::Path;

/// The keys of the configuration: the fields of the raw mirror's structs.
fn keys() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/raw");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut keys = Vec::new();
    for file in files {
        let file = syn::parse_file(&std::fs::read_to_string(file).unwrap()).unwrap();
        let structs = file.items.iter().filter_map(|item| match item {
            syn::Item::Struct(item) => Some(item),
            _ => None,
        });
        let fields = structs.flat_map(|item| &item.fields);
        keys.extend(fields.map(|field| field.ident.as_ref().unwrap().to_string()));
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
                || (line.starts_with('[')
                    && line.trim_matches(['[', ']']).split('.').any(|part| part == key))
        })
    };
    let keys = keys();
    assert!(keys.len() > 40, "the raw mirror was not read");
    let missing: Vec<_> = keys.into_iter().filter(|key| !documents(key)).collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn the_readme_names_the_sdks_and_the_versions_that_are_tried() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let package: serde_json::Value =
        serde_json::from_str(&read("tests/sdk/node/package.json")).unwrap();
    let node = package["dependencies"].as_object().unwrap().iter();
    let node = node.map(|(name, version)| (name.clone(), version.as_str().unwrap().to_owned()));
    // What the tests import stands first, up to an empty line.
    let requirements = read("tests/sdk/python/requirements.txt");
    let python = requirements.lines().take_while(|line| !line.is_empty());
    let python = python.filter_map(|line| line.split_once("=="));
    let python = python.map(|(name, version)| (name.to_owned(), version.to_owned()));
    let sdks: Vec<_> = node.chain(python).filter(|(name, _)| name != "pytest").collect();
    assert!(sdks.len() > 5, "the pinned versions were not read");

    let readme = read("README.md");
    let is_named = |name: &str, version: &str| {
        readme.lines().any(|line| {
            line.starts_with(&format!("| `{name}` (")) && line.contains(&format!(") | {version} |"))
        })
    };
    let missing: Vec<_> = sdks.iter().filter(|(name, version)| !is_named(name, version)).collect();
    assert_eq!(missing, Vec::<&(String, String)>::new());
}
