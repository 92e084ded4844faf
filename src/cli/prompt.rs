//! Asks the user on the terminal: passwords, and the variables of `vars_prompt`, before anything is contacted.

use super::answers;
use crate::plan::Plan;
use crate::run::{TaskScope, World};
use crate::template::Templar;
use crate::value::{Dict, HostName, Secret, Value, as_bool};
use crate::yaml::Node;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::sync::mpsc::{Receiver, channel};

/// Asks for a password, without showing it.
pub(super) fn password(prompt: &str) -> io::Result<Secret> {
    answers::once(prompt, || ask(&mut open()?, &format!("{prompt}: "), true))
}

/// Asks for everything that the plays' `vars_prompt` want and `-e` does not give, where there is a terminal.
pub(super) fn variables(plan: &mut Plan, extra: &Dict, templar: &Templar) -> io::Result<()> {
    if answers::told(plan) || !io::stdin().is_terminal() {
        return Ok(());
    }
    let wanted = |prompt: &Node| {
        let name = prompt.entry("name").and_then(Node::as_str)?;
        (!extra.contains_key(name)).then(|| name.to_owned())
    };
    for play in &mut plan.plays {
        for prompt in &play.play.vars_prompt {
            let Some(name) = wanted(prompt) else { continue };
            let mut terminal = open()?;
            let answer = variable(&mut terminal, &name, prompt, extra, templar)?;
            play.answers.insert(name, Value::String(answer));
        }
    }
    Ok(())
}

fn open() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/tty")
}

fn variable(
    terminal: &mut File,
    name: &str,
    prompt: &Node,
    extra: &Dict,
    templar: &Templar,
) -> io::Result<String> {
    let render = |text: &str, known: Dict| {
        let world = World::without_hosts(extra.clone());
        let host = HostName::from("localhost");
        let scope = TaskScope::new(&world, None, &host, None)
            .with(known)
            .shared();
        templar.render_text(text, &scope).map_err(io::Error::other)
    };
    let text = |key: &str| {
        let node = prompt.entry(key).filter(|node| !node.is_null())?;
        Some(crate::value::display(&node.to_value()))
    };
    let flag = |key: &str, otherwise: bool| {
        let node = prompt.entry(key);
        node.and_then(|node| as_bool(&node.to_value()))
            .unwrap_or(otherwise)
    };
    let default = text("default")
        .map(|text| render(&text, Dict::new()))
        .transpose()?;
    let mut words = render(
        &text("prompt").unwrap_or_else(|| name.to_owned()),
        Dict::new(),
    )?;
    if let Some(default) = &default {
        words = format!("{words} [{default}]");
    }
    let hidden = flag("private", true);
    let answer = loop {
        let answer = ask(terminal, &format!("{words}: "), hidden)?;
        if !flag("confirm", false)
            || ask(terminal, &format!("confirm {words}: "), hidden)? == answer
        {
            break answer;
        }
        writeln!(terminal, "the two answers differ; once more")?;
    };
    let answer = match default {
        Some(default) if answer.is_empty() => default,
        _ => answer,
    };
    let Some(scheme) = text("encrypt") else {
        return Ok(answer);
    };
    let scheme = scheme.strip_suffix("_crypt").unwrap_or(&scheme);
    let salt = text("salt").map_or_else(String::new, |salt| format!(", salt='{salt}'"));
    let hash = format!("{{{{ _answer | password_hash('{scheme}'{salt}) }}}}");
    let known = std::iter::once(("_answer".to_owned(), answer.into())).collect();
    render(&hash, known)
        .map_err(|error| io::Error::other(format!("`{name}` cannot be encrypted: {error}")))
}

/// Reads a line of the terminal while something else goes on; nothing comes where it cannot be read.
pub(super) fn line(hidden: bool) -> Receiver<String> {
    let (answers, receiver) = channel();
    std::thread::spawn(move || {
        if let Ok(answer) = open().and_then(|mut terminal| ask(&mut terminal, "", hidden)) {
            // Whoever asked may have been stopped meanwhile.
            let _ = answers.send(answer);
        }
    });
    receiver
}

/// Asks one question and reads one line.
fn ask(terminal: &mut File, question: &str, hidden: bool) -> io::Result<String> {
    let before = tcgetattr(&*terminal)?;
    // Before the question: the answer may come at once.
    if hidden {
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(&*terminal, SetArg::TCSANOW, &silent)?;
    }
    write!(terminal, "{question}")?;
    let mut line = String::new();
    let read = BufReader::new(&*terminal).read_line(&mut line);
    if hidden {
        tcsetattr(&*terminal, SetArg::TCSANOW, &before)?;
        writeln!(terminal)?;
    }
    read.map(|_| line.trim_end_matches(['\n', '\r']).to_owned())
}
