//! The steps of a request one by one: `cargo bench --features bench`.

use std::hint::black_box;

use appserver::bench::Steps;
use criterion::{Criterion, criterion_group, criterion_main};

fn steps(criterion: &mut Criterion) {
    let steps = Steps::new();
    criterion.bench_function("secret check", |b| b.iter(|| black_box(&steps).secret_check()));
    criterion.bench_function("template render", |b| b.iter(|| black_box(&steps).template_render()));
    criterion.bench_function("key", |b| b.iter(|| black_box(&steps).key()));
    criterion.bench_function("hit", |b| b.iter(|| black_box(&steps).hit()));
    criterion.bench_function("signing", |b| b.iter(|| black_box(&steps).signing()));
    criterion.bench_function("response", |b| b.iter(|| black_box(&steps).response()));
}

criterion_group!(benches, steps);
criterion_main!(benches);
