//! How many round trips a connection costs: measured through a proxy that holds every byte back.

use crate::sshd::{Sshd, can_run, connect, run};
use crate::tasks::shell;
use krun::proto::{FromAgent, ToAgent};
use krun::transport::connect_sending;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// One way.
const DELAY: Duration = Duration::from_millis(50);

/// Passes bytes on, each [`DELAY`] after it came; as many on the way as there are.
async fn delayed(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    let (sender, mut queue) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let read = async move {
        let mut piece = vec![0; 1 << 16];
        while let Ok(n @ 1..) = from.read(&mut piece).await {
            let _ = sender.send((Instant::now() + DELAY, piece[..n].to_vec()));
        }
    };
    let write = async move {
        while let Some((due, bytes)) = queue.recv().await {
            tokio::time::sleep_until(due.into()).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}

async fn proxy(port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            near.set_nodelay(true).unwrap();
            far.set_nodelay(true).unwrap();
            let (near_read, near_write) = near.into_split();
            let (far_read, far_write) = far.into_split();
            tokio::spawn(delayed(near_read, far_write));
            tokio::spawn(delayed(far_read, near_write));
        }
    });
    address.port()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_connection_costs_few_round_trips() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    let started = Instant::now();
    host.connect().await.unwrap().close().await;
    let cold = started.elapsed();
    let started = Instant::now();
    let mut link = host.connect().await.unwrap();
    let near = started.elapsed();
    run(&mut link, shell(1, "true")).await.unwrap();
    link.close().await;

    let mut connection = host.connection();
    connection.port = Some(proxy(host.port).await);
    let known = std::fs::read_to_string(host.file("known_hosts")).unwrap();
    let known = known.replace(
        &host.port.to_string(),
        &connection.port.unwrap().to_string(),
    );
    std::fs::write(host.file("known_hosts"), known).unwrap();
    let started = Instant::now();
    let (sender, mut first) = mpsc::unbounded_channel();
    sender
        .send(ToAgent::Task(Box::new(shell(1, "true"))))
        .unwrap();
    let options = std::sync::Arc::new(host.options());
    let connected = connect_sending(&"host".into(), &connection, &options, &mut first).await;
    let mut link = connected.unwrap();
    let far = started.elapsed();
    // The first task came along: it has ended by the time the link stands, or soon after.
    while !matches!(
        link.from_agent.recv().await,
        Some(Ok(FromAgent::Ended { .. }))
    ) {}
    let task = started.elapsed().saturating_sub(far);
    assert!(task < DELAY, "{task:?}");
    link.close().await;

    std::fs::remove_dir_all(host.file("home/.krun")).unwrap();
    let started = Instant::now();
    connect(&connection, host.options())
        .await
        .unwrap()
        .close()
        .await;
    let far_cold = started.elapsed();
    eprintln!(
        "cold {cold:?}, warm {near:?}; 100 ms away: warm {far:?}, a task {task:?}, cold {far_cold:?}"
    );
    // The proxy answers TCP's own handshake at once: one more on a real network.
    let trips = (far.saturating_sub(near)).as_secs_f64() / (2.0 * DELAY.as_secs_f64());
    assert!(trips < 8.5, "{trips} round trips, {far:?} against {near:?}");
}
