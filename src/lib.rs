//! krun reads an inventory and a playbook, compiles them into a graph, and brings hosts to that state.
