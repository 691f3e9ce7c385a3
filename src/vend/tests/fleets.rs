//! Waves of devices, and greedy clients.

use super::*;

/// A device that honours `Retry-After` in whole seconds with jitter, as the HTTP layer sends it. Returns when it got its
/// token, and the number of its requests.
async fn device(harness: Harness, client: &'static str, name: String) -> (Duration, usize) {
    let begun = Instant::now();
    let session = session(&name);
    for asked in 1.. {
        match harness.vend_within(client, &session, secs(15)).await {
            Ok(_) => return (begun.elapsed(), asked),
            Err(VendError::Overloaded { retry_after }) => {
                let jitter = retry_after.min(secs(30)).mul_f64(rand::random::<f64>() / 2.0);
                sleep(secs((retry_after + jitter).as_secs() + 1)).await;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    unreachable!("a device asks until it is served")
}

#[tokio::test(start_paused = true)]
async fn fifty_thousand_devices_waking_at_once_are_served_at_the_rate_of_the_budget() {
    const DEVICES: usize = 50_000;
    let harness = harness();
    let devices: Vec<_> = (0..DEVICES)
        .map(|n| tokio::spawn(device(harness.clone(), "app-one", format!("device-{n}"))))
        .collect();
    let mut served = vec![];
    for device in devices {
        served.push(device.await.unwrap());
    }
    let last = served.iter().map(|(when, _)| when.as_secs_f64()).fold(0.0, f64::max);
    let dictated = DEVICES as f64 / 90.0;
    assert!((last / dictated - 1.0).abs() < 0.1, "{last} s, the budget dictates {dictated} s");
    assert_eq!((harness.sts.calls(), harness.sts.throttled()), (DEVICES, 0));
    // In order: of two devices whose turns are a minute apart, the later one is served later.
    let early = served.windows(5401).filter(|pair| pair[0].0 < pair[5400].0).count();
    assert!(early as f64 > 0.99 * (DEVICES - 5400) as f64, "{early}");
    let most_asked = served.iter().map(|(_, asked)| *asked).max();
    let asked: usize = served.iter().map(|(_, asked)| *asked).sum();
    println!(
        "last {last:.1} s of {dictated:.1} s, {asked} requests, at most {most_asked:?} by one device"
    );
    assert!(asked < 3 * DEVICES, "{asked} requests");
}

/// A quota of 100 a second, spent wholly: 96 a second, and bursts of 4.
#[tokio::test(start_paused = true)]
async fn a_thousand_new_clients_at_200_a_second_are_served_in_ten_and_a_half_seconds() {
    let harness = harness_with(|settings| {
        settings.budget.per_second = 96;
        settings.budget.burst = 4;
    });
    let begun = Instant::now();
    let mut devices = vec![];
    for n in 0..1000 {
        devices.push(harness.spawn("app-one", &format!("device-{n}"), secs(15)));
        sleep(Duration::from_millis(5)).await;
    }
    for device in devices {
        device.await.unwrap().unwrap();
    }
    assert!(begun.elapsed() < Duration::from_millis(10_500), "{:?}", begun.elapsed());
    assert_eq!((harness.sts.calls(), harness.sts.throttled()), (1000, 0));
}

/// 100 clients that together use half of the budget, and one that requests ten times the budget.
#[tokio::test(start_paused = true)]
async fn one_abuser_does_not_delay_a_hundred_normal_clients() {
    let harness = harness();
    let abuser = harness.clone();
    let abuser = tokio::spawn(async move {
        for n in 0.. {
            drop(abuser.spawn("abuser", &format!("greed-{n}"), secs(15)));
            sleep(Duration::from_millis(1)).await;
        }
    });
    sleep(secs(20)).await;
    let normals: Vec<_> = (0..100_u64)
        .map(|n| {
            let harness = harness.clone();
            tokio::spawn(async move {
                sleep(Duration::from_millis(20 * n)).await;
                let (mut served, mut longest) = (0, Duration::ZERO);
                for round in 0..30 {
                    let begun = Instant::now();
                    let name = format!("device-{n}-{round}");
                    let vended = harness.vend(&format!("client-{n}"), &name).await;
                    served += usize::from(vended.is_ok());
                    longest = longest.max(begun.elapsed());
                    sleep(secs(2)).await;
                }
                (served, longest)
            })
        })
        .collect();
    let (mut served, mut longest) = (0, Duration::ZERO);
    for normal in normals {
        let (one, long) = normal.await.unwrap();
        served += one;
        longest = longest.max(long);
    }
    abuser.abort();
    println!("{served} of 3000 served, the longest wait {longest:?}");
    assert!(served >= 2970, "{served} of 3000");
    assert!(longest < secs(1), "{longest:?}");
    assert_eq!(harness.sts.throttled(), 0);
}

/// If two clients need the same token, the second one does not wait in the queue of the first.
#[tokio::test(start_paused = true)]
async fn a_caller_that_joins_a_greedy_clients_call_does_not_wait_in_its_queue() {
    let harness = harness_with(|settings| settings.budget.per_second = 10);
    let greedy: Vec<_> =
        (0..150).map(|n| harness.spawn("abuser", &format!("shared-{n}"), secs(15))).collect();
    sleep(Duration::from_millis(1)).await;
    let begun = Instant::now();
    let joined: Vec<_> = (0..5).map(|_| harness.spawn("app-one", "shared-149", secs(15))).collect();
    for joined in joined {
        joined.await.unwrap().unwrap();
    }
    assert!(begun.elapsed() < Duration::from_millis(400), "{:?}", begun.elapsed());
    for greedy in greedy {
        greedy.await.unwrap().unwrap();
    }
    assert_eq!(harness.sts.calls(), 150, "a woken call is no second one");
}
