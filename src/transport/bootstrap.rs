//! Starts the agent through a POSIX shell: the one that is there, or one that is uploaded first.

use crate::proto::ToAgent;
use crate::transport::binary::Binary;
use crate::transport::error::quote;
use crate::transport::link::{self, Link};
use crate::transport::stream::{Opening, Stream, opening};
use crate::transport::{Error, Options, Shell};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc::UnboundedReceiver;

/// How long a host may take to start an agent that is there (an agent that ends may still hold the lock).
const START: Duration = Duration::from_secs(90);
/// How long an upload may take.
const UPLOAD: Duration = Duration::from_secs(600);

/// Starts the agent behind `shell`: warm in one exec, cold with an upload in between.
///
/// What waits in `first` goes out together with the greeting.
pub(super) async fn start(
    host: &str,
    shell: &Shell,
    options: &Options,
    first: &mut UnboundedReceiver<ToAgent>,
) -> Result<Link, Error> {
    let mut greeting = link::hello(host, options, shell.heartbeat())?;
    while let Ok(message) = first.try_recv() {
        greeting.extend(link::encode(&message)?);
    }
    let binary = options.binary().await?;
    let absent = match attempt(shell, &binary, &greeting).await? {
        Attempt::Running(link) => return Ok(warmed(*link, true)),
        Attempt::Absent(absent) => absent,
    };
    let binary = match suitable(&absent, options)? {
        None => binary,
        Some(path) => {
            let other = Arc::new(Binary::read(&path, None)?);
            if let Attempt::Running(link) = attempt(shell, &other, &greeting).await? {
                return Ok(warmed(*link, true));
            }
            other
        }
    };
    upload(shell, &binary, absent.has_gzip).await?;
    match attempt(shell, &binary, &greeting).await? {
        Attempt::Running(link) => Ok(warmed(*link, false)),
        Attempt::Absent(_) => Err(fault(vec!["it is gone right after its upload".into()])),
    }
}

fn warmed(mut link: Link, warm: bool) -> Link {
    link.ready.warm = warm;
    link
}

enum Attempt {
    Running(Box<Link>),
    Absent(Absent),
}

/// What a host said that has no agent.
#[derive(Debug, PartialEq)]
struct Absent {
    system: String,
    machine: String,
    has_gzip: bool,
}

async fn attempt(shell: &Shell, binary: &Binary, greeting: &[u8]) -> Result<Attempt, Error> {
    let begin = async {
        let mut stream = shell.exec(&warm(&binary.hash)).await?;
        // Sent before anything is heard: it costs no round trip, and nothing if there is no agent.
        let answer = {
            let (input, output) = (&mut stream.input, &mut stream.output);
            let mut write = pin!(async {
                let _ = input.write_all(greeting).await;
                let _ = input.flush().await;
            });
            let mut answer = pin!(opening(output));
            tokio::select! {
                () = &mut write => answer.await,
                answer = &mut answer => {
                    // Without an agent nobody reads what is still to be written.
                    if matches!(answer, Opening::Agent) {
                        write.await;
                    }
                    answer
                }
            }
        };
        match answer {
            Opening::Agent => link::take_up(stream, shell.heartbeat())
                .await
                .map(|link| Attempt::Running(Box::new(link))),
            Opening::Answer(line) => parse(&line).map(Attempt::Absent),
            Opening::Noise(noise) => Err(no_answer(&stream, &noise)),
        }
    };
    within("starting the agent", START, begin).await
}

fn parse(line: &str) -> Result<Absent, Error> {
    match line.split_whitespace().collect::<Vec<_>>()[..] {
        ["absent", system, machine, gzip] => Ok(Absent {
            system: system.to_owned(),
            machine: machine.to_owned(),
            has_gzip: gzip == "gzip",
        }),
        _ => Err(fault(vec![format!("the host answered `{line}`")])),
    }
}

/// Returns which other binary a host needs; `None` where this one is right.
fn suitable(absent: &Absent, options: &Options) -> Result<Option<PathBuf>, Error> {
    let ours = std::env::consts::ARCH;
    if absent.system == "Linux" && absent.machine == ours {
        return Ok(None);
    }
    let name = match absent.system.as_str() {
        "Linux" => format!("krun-{}", absent.machine),
        system => format!("krun-{system}-{}", absent.machine),
    };
    let place = options.agent_binary.with_file_name(name);
    if place.is_file() {
        return Ok(Some(place));
    }
    let found = match absent.system.as_str() {
        "Linux" => absent.machine.clone(),
        system => format!("{system} {}", absent.machine),
    };
    Err(Error::Architecture {
        found,
        needed: format!("Linux {ours}"),
        place,
    })
}

async fn upload(shell: &Shell, binary: &Binary, with_gzip: bool) -> Result<(), Error> {
    let bytes = if with_gzip {
        binary.compressed().await?
    } else {
        binary.plain().await?
    };
    let send = async {
        let mut stream = shell.exec(&cold(binary, with_gzip)).await?;
        let mut input = std::mem::replace(&mut stream.input, Box::new(tokio::io::sink()));
        let output = &mut stream.output;
        let write = async {
            let _ = input.write_all(&bytes).await;
            let _ = input.shutdown().await;
            // A pipe has its end when it is closed, and only then.
            drop(input);
            std::future::pending::<()>().await;
        };
        // A host that has no place for it answers early, and a lost connection takes no bytes at all.
        let answer = tokio::select! {
            answer = opening(output) => answer,
            () = write => return Err(fault(Vec::new())),
        };
        match answer {
            Opening::Answer(line) if line.trim() == "installed" => Ok(()),
            Opening::Answer(line) => {
                let (what, rest) = line.split_once(' ').unwrap_or((&line, ""));
                let what = match what {
                    "nowhere" => "no directory for the agent",
                    "broken" => "the upload did not arrive whole",
                    other => other,
                };
                let parts = rest.split("; ").map(str::trim).filter(|it| !it.is_empty());
                let causes = [what].into_iter().chain(parts);
                Err(fault(causes.map(str::to_owned).collect()))
            }
            Opening::Noise(noise) => Err(no_answer(&stream, &noise)),
            Opening::Agent => Err(fault(vec!["an agent came up in place of an upload".into()])),
        }
    };
    within("uploading the agent", UPLOAD, send).await
}

async fn within<T>(
    what: &str,
    limit: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let what = what.to_owned();
        Err(Error::Timeout { what, limit })
    })
}

fn fault(causes: Vec<String>) -> Error {
    Error::Bootstrap { causes }
}

fn no_answer(stream: &Stream, noise: &str) -> Error {
    let mut causes = stream.said.causes();
    if !noise.is_empty() {
        causes.push(format!("it said `{}`", noise.trim()));
    }
    if causes.is_empty() {
        causes.push("the login ended without a word".into());
    }
    fault(causes)
}

/// Returns the line that starts a cached agent, or says what the host is.
fn warm(hash: &str) -> String {
    line(include_str!("warm.sh"), &[hash])
}

/// Returns the line that takes an upload.
fn cold(binary: &Binary, with_gzip: bool) -> String {
    let unpack = if with_gzip { "gzip" } else { "cat" };
    let size = binary.size.to_string();
    line(include_str!("cold.sh"), &[&binary.hash, &size, unpack])
}

/// Returns a script as one line that any login shell (fish and csh too) hands to a POSIX one.
fn line(script: &str, arguments: &[&str]) -> String {
    let lines = script.lines().map(str::trim);
    let lines: Vec<_> = lines.filter(|line| !line.starts_with('#')).collect();
    let mut line = format!("exec /bin/sh -c {} krun", quote(&lines.join(" ")));
    for argument in arguments {
        line.push(' ');
        line.push_str(&quote(argument));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read() {
        let absent = parse("absent Linux aarch64 gzip").unwrap();
        assert_eq!(
            (absent.machine.as_str(), absent.has_gzip),
            ("aarch64", true)
        );
        assert!(parse("something else").is_err());
    }

    #[test]
    fn another_architecture_is_named_with_the_place_for_its_agent() {
        let options = Options::new("/opt/krun/krun".into(), "/root".into());
        let absent = parse("absent Linux aarch64 plain").unwrap();
        let error = suitable(&absent, &options).unwrap_err();
        assert!(error.to_string().starts_with("host is aarch64"));
        assert_eq!(
            error.help().unwrap(),
            "put an agent for it at /opt/krun/krun-aarch64"
        );
    }

    #[test]
    fn the_script_survives_any_login_shell() {
        for line in [
            warm("00"),
            line(include_str!("cold.sh"), &["00", "7", "gzip"]),
        ] {
            assert!(!line.contains(['!', '\n']), "csh would stumble");
            let words = shlex::split(&line).unwrap();
            assert_eq!(words[..3], ["exec", "/bin/sh", "-c"]);
            assert_eq!(words[4..6], ["krun", "00"]);
        }
    }
}
