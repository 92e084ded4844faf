//! Brokers assembled from Maven's jars are real ones: a probe over the wire sees one cluster of that version.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use krun::kafka::client::{Client, Network};
use krun::kafka::cluster::{self, Metadata};
use krun::kafka::connect::Address;
use krun::kafka::settings::Security;

use crate::stage::{BROKERS, Stage, enabled};

#[test]
#[ignore = "needs root and podman; KRUN_LAB=1 cargo test --test it -- --ignored"]
fn probe_sees_three_brokers_of_2_1_as_one_cluster() {
    if !enabled() {
        return;
    }
    let stage = Stage::cluster("it-brokers", "2.1.0");
    let network = Network::new(Security::default(), Arc::new(AtomicBool::new(false)));
    let mut clusters = BTreeSet::new();
    for name in BROKERS {
        let address = &stage.0.host(name).unwrap().address;
        let mut client = Client::connect(&network, &Address::new(address, 9092)).unwrap();
        assert_eq!(client.versions()[&0].1, 7, "Produce of 2.1");
        assert_eq!(client.versions()[&1].1, 10, "Fetch of 2.1");
        let view = whole_view(&mut client);
        let names: BTreeSet<String> = view.brokers.values().map(ToString::to_string).collect();
        assert_eq!(names, BROKERS.map(|name| format!("{name}:9092")).into());
        assert!(view.controller.is_some());
        clusters.insert(view.cluster_id.unwrap());
        let jars = stage.on(
            name,
            "tr '\\0:' '\\n\\n' </proc/$(pgrep -f 'kafka[.]Kafka')/cmdline",
        );
        let jars = jars
            .lines()
            .filter_map(|line| line.rsplit_once("/libs/kafka_"))
            .map(|it| it.1);
        // Apache's script keeps tests and signatures off the class path, and forgets the sources.
        assert_eq!(
            jars.collect::<Vec<_>>(),
            ["2.12-2.1.0-sources.jar", "2.12-2.1.0.jar"]
        );
    }
    assert_eq!(clusters.len(), 1);
}

/// What a broker sees, as soon as it sees all three: it listens before the others know of it.
fn whole_view(client: &mut Client) -> Metadata {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let view = cluster::view(client).unwrap();
        if view.brokers.len() == BROKERS.len() || Instant::now() > deadline {
            return view;
        }
        thread::sleep(Duration::from_millis(200));
    }
}
