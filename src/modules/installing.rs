//! Turns an action into the packages that it wants of Red Hat's managers: what a host without them cannot have.

use super::Action;

/// The modules that may.
pub const INSTALLING: &[&str] = &["dnf", "yum", "package"];

impl Action {
    /// The names that this action hands to dnf or yum, to have them installed.
    pub fn rpm_packages(&self) -> Vec<String> {
        match self {
            Self::Dnf(task) => task.wanted(),
            Self::Yum(task) => task.wanted(),
            Self::Package(task) => task.rpm_wanted(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(module: &str, arguments: &str) -> Vec<String> {
        let given = serde_yaml::from_str(arguments).unwrap();
        Action::new(module, given).unwrap().rpm_packages()
    }

    #[test]
    fn what_a_task_installs_by_dnf_is_known_before_it_runs() {
        let names = "{name: [git, dstat], state: latest}";
        assert_eq!(packages("yum", names), ["git", "dstat"]);
        assert_eq!(packages("dnf", "name: git"), ["git"]);
        assert_eq!(packages("dnf", "{name: git, state: absent}"), [""; 0]);
        assert_eq!(packages("dnf", "{name: '*', state: latest}"), [""; 0]);
        assert_eq!(packages("package", "name: git"), [""; 0]);
        assert_eq!(packages("package", "{name: git, use: yum}"), ["git"]);
        assert_eq!(packages("apt", "name: git"), [""; 0]);
    }
}
