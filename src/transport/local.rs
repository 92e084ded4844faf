//! Starts programs on this machine: the agent itself, or a shell inside a container.

use crate::proto::ToAgent;
use crate::transport::error::quote;
use crate::transport::link::{self, Link};
use crate::transport::stream::{Opening, Said, Stream, opening};
use crate::transport::{Error, Options};
use std::process::Stdio;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::mpsc::UnboundedReceiver;

/// Starts an agent as a child process. It takes no lock: plays of several runs may use this machine.
pub(super) async fn start(
    host: &str,
    options: &Options,
    first: &mut UnboundedReceiver<ToAgent>,
) -> Result<Link, Error> {
    let mut command = Command::new(&options.agent_binary);
    command
        .args(["agent", "--shared"])
        .env("HOME", &options.home);
    if let Some(imagined) = &options.imagined {
        // A name may hold what no file name can.
        command
            .arg("--imagined")
            .arg(imagined.join(hex::encode(host)));
    }
    let mut stream = spawn(command)?;
    let hello = link::hello(host, options, None)?;
    let _ = stream.input.write_all(&hello).await;
    let _ = stream.input.flush().await;
    match opening(&mut stream.output).await {
        Opening::Agent => {
            let link = link::take_up(stream, None).await?;
            while let Ok(message) = first.try_recv() {
                let _ = link.to_agent.send(message);
            }
            Ok(link)
        }
        Opening::Answer(text) | Opening::Noise(text) => {
            let mut causes = stream.said.causes();
            causes.extend((!text.is_empty()).then_some(text));
            Err(Error::Bootstrap { causes })
        }
    }
}

/// A container that is reached through its engine's `exec`.
pub(super) struct Container {
    pub(super) engine: &'static str,
    pub(super) name: String,
    pub(super) user: Option<String>,
}

impl Container {
    pub(super) fn exec(&self, line: &str) -> Result<Stream, Error> {
        let mut command = Command::new(self.engine);
        command.args(["exec", "-i"]);
        if let Some(user) = &self.user {
            command.args(["-u", user]);
        }
        command.args([&self.name, "/bin/sh", "-c", line]);
        spawn(command)
    }
}

/// Starts a program whose standard streams are a stream of bytes.
pub(super) fn spawn(mut command: Command) -> Result<Stream, Error> {
    let program = quote(&command.as_std().get_program().to_string_lossy());
    let fault = |cause: String| Error::Spawn {
        program: program.clone(),
        causes: vec![cause],
    };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C at the terminal is for the controller alone; it tells its agents what to do.
        .process_group(0)
        .spawn()
        .map_err(|error| fault(error.to_string()))?;
    let (Some(input), Some(output), Some(mut stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(fault("it has no pipes".into()));
    };
    let said = Said::default();
    let listener = said.clone();
    tokio::spawn(async move {
        let mut piece = [0; 4096];
        while let Ok(n @ 1..) = stderr.read(&mut piece).await {
            listener.stderr(&piece[..n]);
        }
    });
    let listener = said.clone();
    // Waited for in the background, so that nothing is left of it.
    tokio::spawn(async move {
        match child.wait().await {
            Ok(status) if status.success() => {}
            Ok(status) => listener.end(format!("{program}: {status}")),
            Err(error) => listener.end(error.to_string()),
        }
    });
    Ok(Stream::new(output, input, said, ()))
}
