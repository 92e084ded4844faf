//! The modules that the controller answers itself, and the other names under which modules are known.

use super::Nature;
use super::args::{Arg, ArgKind};
use super::registry::{Entry, Place};

/// Modules that never reach an agent.
pub const ENTRIES: &[Entry] = &[
    entry(
        "debug",
        &[
            Arg::new(
                "msg",
                ArgKind::Any,
                "what to print (default `Hello world!`)",
            ),
            Arg::new("var", ArgKind::Any, "a variable to print"),
            Arg::new(
                "verbosity",
                ArgKind::Int,
                "print only at this verbosity (default 0)",
            ),
        ],
        "Prints a message or a variable.\n\n    - debug: msg=\"broker {{ broker_id }}\"\n",
    ),
    entry(
        "fail",
        &[Arg::new("msg", ArgKind::Str, "why")],
        "Fails with a message.\n\n    - fail: msg=\"neither 2.1.0 nor 2.6.0\"\n      when: version not in ['2.1.0', '2.6.0']\n",
    ),
    entry(
        "assert",
        &[
            Arg::new("that", ArgKind::Any, "conditions, all of which must hold").required(),
            Arg::new("fail_msg", ArgKind::Any, "what to say if one does not").aliases(&["msg"]),
            Arg::new("success_msg", ArgKind::Any, "what to say if all do"),
            Arg::new(
                "quiet",
                ArgKind::Bool,
                "say nothing of conditions that hold (default no)",
            ),
        ],
        "Fails unless all conditions hold.\n\n    - assert:\n        that: brokers | length == 3\n        fail_msg: three brokers are expected\n",
    ),
    entry(
        "set_fact",
        &[],
        "Sets variables of the host for the rest of the run.\n\n    - set_fact:\n        jar: \"kafka_2.12-{{ kafkaversion }}.jar\"\n",
    ),
    entry(
        "meta",
        &[],
        "Steers the run: flush_handlers, end_play, end_host, end_batch, clear_host_errors, clear_facts, refresh_inventory, reset_connection, noop.\n\n    - meta: flush_handlers\n",
    ),
    entry(
        "include_vars",
        &[],
        "Reads variables from a file or directory of the controller.\n\n    - include_vars: \"{{ ansible_os_family }}.yml\"\n",
    ),
    entry(
        "add_host",
        &[],
        "Adds a host to the inventory of this run.\n\n    - add_host: name=new01 groups=kafkahosts\n",
    ),
    entry(
        "group_by",
        &[
            Arg::new("key", ArgKind::Str, "name of the group").required(),
            Arg::new("parents", ArgKind::StrList, "its parents (default all)"),
        ],
        "Puts each host into a group named by an expression.\n\n    - group_by: key=\"os_{{ ansible_distribution }}\"\n",
    ),
    entry(
        "set_stats",
        &[
            Arg::new("data", ArgKind::Any, "names and values to say"),
            Arg::new(
                "per_host",
                ArgKind::Bool,
                "of each host, not of the run (default no)",
            ),
            Arg::new(
                "aggregate",
                ArgKind::Bool,
                "add to what was said before, instead of replacing it (default yes)",
            ),
        ],
        "Says something at the end of the run, summed up over hosts.\n\n    - set_stats:\n        data: { upgraded: 1 }\n",
    ),
    entry(
        "pause",
        &[
            Arg::new("seconds", ArgKind::Float, "how long"),
            Arg::new("minutes", ArgKind::Float, "how long"),
            Arg::new("prompt", ArgKind::Str, "what to ask"),
            Arg::new("echo", ArgKind::Bool, "show what is typed (default yes)"),
        ],
        "Waits for some time or for a key.\n\n    - pause: seconds=5\n",
    ),
    entry(
        "include_tasks",
        &[],
        "Runs the tasks of a file, chosen while running.\n\n    - include_tasks: \"{{ ansible_os_family }}.yml\"\n",
    ),
    entry(
        "include_role",
        &[],
        "Runs a role, chosen while running.\n\n    - include_role: name=kafka\n",
    ),
];

const fn entry(name: &'static str, args: &'static [Arg], doc: &'static str) -> Entry {
    Entry {
        name,
        nature: Nature::Action,
        place: Place::Controller,
        host_only: false,
        rehearses: false,
        args,
        doc,
    }
}

/// Returns krun's name of a module that has several.
pub fn alias(name: &str) -> &str {
    match name {
        "systemd_service" => "systemd",
        "include" => "include_tasks",
        "gather_facts" => "setup",
        other => other,
    }
}
