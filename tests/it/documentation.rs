//! What is written for operators keeps up with the code.

use std::path::Path;

/// The keys of the configuration: the fields of the raw mirror's structs.
fn keys() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/raw.rs");
    let file = syn::parse_file(&std::fs::read_to_string(path).unwrap()).unwrap();
    let structs = file.items.iter().filter_map(|item| match item {
        syn::Item::Struct(item) => Some(item),
        _ => None,
    });
    structs
        .flat_map(|item| &item.fields)
        .map(|field| field.ident.as_ref().unwrap().to_string())
        .collect()
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
