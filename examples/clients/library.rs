//! The libraries, and how each driver is started.

use std::path::{Path, PathBuf};

/// What a driver runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runtime {
    /// Packages from PyPI, in an environment of their own.
    Python,
    /// Packages from npm, in a folder of their own.
    Node,
    /// What is installed: the program, how it is asked whether the library is there, and the Debian packages that bring both.
    Installed { program: &'static str, probe: &'static [&'static str], packages: &'static str },
}

/// A client library with its driver.
#[derive(Clone, Debug)]
pub(crate) struct Library {
    /// Its name in the table.
    pub(crate) name: &'static str,
    pub(crate) runtime: Runtime,
    /// The driver, below `drivers/`.
    pub(crate) driver: &'static str,
    /// Additions to the driver's environment.
    pub(crate) env: &'static [(&'static str, &'static str)],
}

/// Libraries that this program has no driver for, with the reason.
pub(crate) const ELSEWHERE: [(&str, &str); 4] = [
    ("go-redis", "in no Debian package; needs Go and its module proxy"),
    ("Jedis", "in no Debian package; needs Maven Central"),
    ("Lettuce, redisson", "in no Debian package; need Maven Central"),
    ("node-redis 4", "knows no sentinels: its first version that does is 5"),
];

const fn python(name: &'static str, driver: &'static str, env: &'static [(&'static str, &'static str)]) -> Library {
    Library { name, runtime: Runtime::Python, driver, env }
}

const fn node(name: &'static str, driver: &'static str, env: &'static [(&'static str, &'static str)]) -> Library {
    Library { name, runtime: Runtime::Node, driver, env }
}

const fn installed(
    name: &'static str,
    driver: &'static str,
    [program, packages]: [&'static str; 2],
    probe: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
) -> Library {
    Library { name, runtime: Runtime::Installed { program, probe, packages }, driver, env }
}

/// All that have a driver.
pub(crate) fn all() -> Vec<Library> {
    const PHP: [&str; 2] = ["php", "php-cli php-redis php-predis"];
    const RUBY: [&str; 2] = ["ruby", "ruby-redis ruby-sidekiq"];
    vec![
        python("redis-py", "python/redis_py.py", &[("LIBRARY", "redis")]),
        python("redis-py asyncio", "python/redis_py_asyncio.py", &[("LIBRARY", "redis")]),
        python("valkey-py", "python/redis_py.py", &[("LIBRARY", "valkey")]),
        python("valkey-py asyncio", "python/redis_py_asyncio.py", &[("LIBRARY", "valkey")]),
        python("celery, kombu", "python/celery_app.py", &[]),
        python("rq", "python/rq_queue.py", &[]),
        node("ioredis 6", "javascript/ioredis.js", &[("LIBRARY", "ioredis")]),
        node("ioredis 6, failoverDetector", "javascript/ioredis.js", &[("LIBRARY", "ioredis"), ("FAILOVER_DETECTOR", "yes")]),
        node("ioredis 5", "javascript/ioredis.js", &[("LIBRARY", "ioredis5")]),
        node("node-redis 6", "javascript/node-redis.js", &[("LIBRARY", "redis")]),
        node("node-redis 5", "javascript/node-redis.js", &[("LIBRARY", "redis5")]),
        node("bullmq", "javascript/bullmq.js", &[]),
        installed("phpredis", "phpredis.php", PHP, &["-r", "exit(class_exists('RedisSentinel') ? 0 : 1);"], &[]),
        installed("predis", "predis.php", PHP, &["-r", "(@include 'Predis/Autoloader.php') or exit(1);"], &[]),
        installed("Perl Redis", "redis.pl", ["perl", "libredis-perl"], &["-MRedis", "-MJSON::PP", "-e", "1"], &[]),
        installed("redis-rb", "redis.rb", RUBY, &["-e", "require 'redis'"], &[("LIBRARY", "redis")]),
        installed("sidekiq", "redis.rb", RUBY, &["-e", "require 'sidekiq'"], &[("LIBRARY", "sidekiq")]),
        installed("redis-cli (hiredis)", "redis-cli.sh", ["sh", "redis-tools"], &["-c", "command -v redis-cli"], &[]),
        installed(
            "HAProxy, role:master",
            "python/haproxy.py",
            ["python3", "haproxy python3"],
            &["-c", "import shutil, sys; sys.exit(shutil.which('haproxy') is None)"],
            &[],
        ),
    ]
}

/// The folder of the drivers.
pub(crate) fn drivers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/clients/drivers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_driver_is_there_and_each_name_once() {
        let libraries = all();
        for library in &libraries {
            assert!(drivers().join(library.driver).is_file(), "{}", library.driver);
            assert_eq!(libraries.iter().filter(|other| other.name == library.name).count(), 1, "{}", library.name);
        }
    }
}
