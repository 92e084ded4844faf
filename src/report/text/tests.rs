//! What a plan looks like in a terminal.

use super::super::example;
use super::*;

#[test]
fn each_change_is_told_once_with_the_hosts_that_share_it() {
    let story = Story::of(&example::plan());
    insta::assert_snapshot!(draw(&story, Paint { colour: false }));
}
