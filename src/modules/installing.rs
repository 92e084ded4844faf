//! Turns an action into the packages that it wants of a manager: what a host that reaches no repository cannot have.

use super::Action;

/// The modules that may.
pub const INSTALLING: &[&str] = &["apt", "dnf", "yum", "package"];

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

    /// The names that this action hands to apt on a host of Debian, to have them installed.
    pub fn deb_packages(&self) -> Vec<String> {
        match self {
            Self::Apt(task) => task.wanted(),
            Self::Package(task) => task.deb_wanted(),
            _ => Vec::new(),
        }
    }

    /// Whether this action brings a package as a file: what it needs and is called, nobody knows before.
    pub fn brings_deb(&self) -> bool {
        matches!(self, Self::Apt(task) if task.installs_file())
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
    fn what_a_task_installs_by_apt_is_known_before_it_runs() {
        let packages = |module: &str, arguments: &str| {
            let given = serde_yaml::from_str(arguments).unwrap();
            Action::new(module, given).unwrap().deb_packages()
        };
        let names = "{name: [git, chrony=4.3*, 'openjdk*'], state: latest}";
        assert_eq!(packages("apt", names), ["git", "chrony=4.3*"]);
        assert_eq!(packages("apt", "{name: git, state: absent}"), [""; 0]);
        assert_eq!(packages("package", "name: git"), ["git"]);
        assert_eq!(packages("package", "{name: git, use: yum}"), [""; 0]);
        assert_eq!(packages("yum", "name: git"), [""; 0]);
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
