//! The parts of the service, printed by `{:?}`.

use appserver::app::App;
use appserver::config::{self, Mode};
use appserver_domain::clock::Clock;

use super::search::canary;
use super::service::World;

#[tokio::test]
async fn debug_output_of_the_service_contains_no_secret() {
    let mut world = World::new().await;
    let plain = world.redis.url();
    let environment = [
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid".to_owned()),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", canary("access-key")),
        ("APPSERVER__STS__IDENTITY__ACCESS_KEY__SOURCE", "environment".to_owned()),
        ("APPSERVER__STS__IDENTITY__ACCESS_KEY__ID_FILE", String::new()),
        ("APPSERVER__STS__IDENTITY__ACCESS_KEY__SECRET_FILE", String::new()),
        ("APPSERVER__STORE__REDIS__URL", plain),
        ("SOMEBODY_ELSES_SECRET", world.canaries.new_secret("somebody-else")),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value)).into();
    let settings = config::load(&[world.path("app.toml")], &environment, Mode::Production).unwrap();
    let mut outputs = vec![("Settings".to_owned(), format!("{settings:?} {settings:#?}").into())];
    let app = Box::pin(App::start(settings, Clock::system())).await.unwrap();
    outputs.push(("App".to_owned(), format!("{app:?} {app:#?}").into()));
    assert!(outputs.iter().all(|(_, output): &(_, Vec<u8>)| output.len() > 1000));
    let found = world.canaries.found_in(&outputs);
    assert!(found.is_empty(), "{}", found.join("\n\n"));
}
