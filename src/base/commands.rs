//! Names of commands: which ones a data node may know, and which shape the answer to one that is asked here has.
//!
//! `rename-command` is for commands that a server knows under another name. A name that is a command itself is never such a name: it
//! would make the sentinels run that command, on every server, many times a second.

/// Every command of Redis up to 8.4, Valkey up to 9.1 and KeyDB, in upper case and in order; those of old releases too.
#[rustfmt::skip]
static COMMANDS: &[&str] = &[
    "ACL", "APPEND", "ASKING", "AUTH", "BGREWRITEAOF", "BGSAVE", "BITCOUNT", "BITFIELD", "BITFIELD_RO", "BITOP", "BITPOS", "BLMOVE",
    "BLMPOP", "BLPOP", "BRPOP", "BRPOPLPUSH", "BZMPOP", "BZPOPMAX", "BZPOPMIN", "CLIENT", "CLUSTER", "CLUSTERSCAN", "COMMAND", "COMMANDLOG",
    "CONFIG", "COPY", "DBSIZE", "DEBUG", "DECR", "DECRBY", "DEL", "DELEX", "DELIFEQ", "DELSLOTS", "DIGEST", "DISCARD", "DUMP", "ECHO",
    "EVAL", "EVALSHA", "EVALSHA_RO", "EVAL_RO", "EXEC", "EXISTS", "EXPIRE", "EXPIREAT", "EXPIREMEMBER", "EXPIREMEMBERAT", "EXPIRETIME",
    "FAILOVER", "FCALL", "FCALL_RO", "FLUSHALL", "FLUSHDB", "FUNCTION", "GEOADD", "GEODIST", "GEOHASH", "GEOPOS", "GEORADIUS",
    "GEORADIUSBYMEMBER", "GEORADIUSBYMEMBER_RO", "GEORADIUS_RO", "GEOSEARCH", "GEOSEARCHSTORE", "GET", "GETBIT", "GETDEL", "GETEX",
    "GETRANGE", "GETSET", "HDEL", "HELLO", "HEXISTS", "HEXPIRE", "HEXPIREAT", "HEXPIRETIME", "HGET", "HGETALL", "HGETDEL", "HGETEX",
    "HINCRBY", "HINCRBYFLOAT", "HKEYS", "HLEN", "HMGET", "HMSET", "HOST:", "HPERSIST", "HPEXPIRE", "HPEXPIREAT", "HPEXPIRETIME", "HPTTL",
    "HRANDFIELD", "HSCAN", "HSET", "HSETEX", "HSETNX", "HSTRLEN", "HTTL", "HVALS", "INCR", "INCRBY", "INCRBYFLOAT", "INFO", "KEYDB.CRON",
    "KEYDB.HRENAME", "KEYDB.MVCCRESTORE", "KEYDB.NHGET", "KEYDB.NHSET", "KEYS", "LASTSAVE", "LATENCY", "LCS", "LINDEX", "LINSERT", "LLEN",
    "LMOVE", "LMPOP", "LOLWUT", "LPOP", "LPOS", "LPUSH", "LPUSHX", "LRANGE", "LREM", "LSET", "LTRIM", "MEMORY", "MGET", "MIGRATE", "MODULE",
    "MONITOR", "MOVE", "MSET", "MSETEX", "MSETNX", "MULTI", "OBJECT", "PERSIST", "PEXPIRE", "PEXPIREAT", "PEXPIREMEMBER", "PEXPIREMEMBERAT",
    "PEXPIRETIME", "PFADD", "PFCOUNT", "PFDEBUG", "PFMERGE", "PFSELFTEST", "PING", "POST", "PSETEX", "PSUBSCRIBE", "PSYNC", "PTTL",
    "PUBLISH", "PUBSUB", "PUNSUBSCRIBE", "QUIT", "RANDOMKEY", "READONLY", "READWRITE", "RENAME", "RENAMENX", "REPLCONF", "REPLICAOF",
    "RESET", "RESTORE", "RESTORE-ASKING", "ROLE", "RPOP", "RPOPLPUSH", "RPUSH", "RPUSHX", "RREPLAY", "SADD", "SAVE", "SCAN", "SCARD",
    "SCRIPT", "SDIFF", "SDIFFSTORE", "SELECT", "SENTINEL", "SET", "SETBIT", "SETEX", "SETNX", "SETRANGE", "SHUTDOWN", "SINTER",
    "SINTERCARD", "SINTERSTORE", "SISMEMBER", "SLAVEOF", "SLOWLOG", "SMEMBERS", "SMISMEMBER", "SMOVE", "SORT", "SORT_RO", "SPOP",
    "SPUBLISH", "SRANDMEMBER", "SREM", "SSCAN", "SSUBSCRIBE", "STRALGO", "STRLEN", "SUBSCRIBE", "SUBSTR", "SUNION", "SUNIONSTORE",
    "SUNSUBSCRIBE", "SWAPDB", "SYNC", "TFCALL", "TFCALLASYNC", "TFUNCTION", "TIME", "TOUCH", "TRIMSLOTS", "TTL", "TYPE", "UNLINK",
    "UNSUBSCRIBE", "UNWATCH", "VADD", "VCARD", "VDIM", "VEMB", "VGETATTR", "VINFO", "VISMEMBER", "VLINKS", "VRANDMEMBER", "VRANGE", "VREM",
    "VSETATTR", "VSIM", "WAIT", "WAITAOF", "WATCH", "XACK", "XACKDEL", "XADD", "XAUTOCLAIM", "XCFGSET", "XCLAIM", "XDEL", "XDELEX",
    "XGROUP", "XINFO", "XLEN", "XPENDING", "XRANGE", "XREAD", "XREADGROUP", "XSETID", "XTRIM", "ZADD", "ZCARD", "ZCOUNT", "ZDIFF",
    "ZDIFFSTORE", "ZINCRBY", "ZINTER", "ZINTERCARD", "ZINTERSTORE", "ZLEXCOUNT", "ZMPOP", "ZMSCORE", "ZPOPMAX", "ZPOPMIN", "ZRANDMEMBER",
    "ZRANGE", "ZRANGEBYLEX", "ZRANGEBYSCORE", "ZRANGESTORE", "ZRANK", "ZREM", "ZREMRANGEBYLEX", "ZREMRANGEBYRANK", "ZREMRANGEBYSCORE",
    "ZREVRANGE", "ZREVRANGEBYLEX", "ZREVRANGEBYSCORE", "ZREVRANK", "ZSCAN", "ZSCORE", "ZUNION", "ZUNIONSTORE",
];

/// How the commands of well-known modules begin.
const MODULES: &[&str] =
    &["AI.", "BF.", "CF.", "CMS.", "FT.", "GRAPH.", "JSON.", "KEYDB.", "RAFTFENCE.", "RG.", "SEARCH.", "TDIGEST.", "TOPK.", "TS.", "_FT."];

/// Longest name of a command, or for one.
const LONGEST: usize = 128;

/// Why a name cannot be the one by which the data nodes know a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRename {
    /// It is another command's name.
    #[error("it is the name of another command, which would be run instead")]
    AnotherCommand,
    /// It cannot be sent, or be shown.
    #[error("a name has 1 to {LONGEST} printable characters without blanks")]
    Unprintable,
}

/// Whether `command` (its stock name) may be known as `to`.
///
/// # Errors
/// [`BadRename`].
pub fn check_rename(command: &str, to: &str) -> Result<(), BadRename> {
    for name in [command, to] {
        if name.is_empty() || name.len() > LONGEST || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadRename::Unprintable);
        }
    }
    if is_same_command(command, to) || !is_command(to) { Ok(()) } else { Err(BadRename::AnotherCommand) }
}

/// Whether some server knows a command by this name.
pub fn is_command(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    // A subcommand's full name: no server takes it as one word.
    let first = name.split('|').next().unwrap_or(&name);
    COMMANDS.binary_search(&first).is_ok() || MODULES.iter().any(|module| name.starts_with(module))
}

/// Whether two names stand for one command.
pub fn is_same_command(one: &str, other: &str) -> bool {
    let follows = |name: &str| ["REPLICAOF", "SLAVEOF"].iter().any(|known| name.eq_ignore_ascii_case(known));
    one.eq_ignore_ascii_case(other) || (follows(one) && follows(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_in_upper_case() {
        assert!(COMMANDS.is_sorted_by(|a, b| a < b));
        assert!(COMMANDS.iter().all(|name| *name == name.to_ascii_uppercase()));
        for asked in ["AUTH", "CLIENT", "CONFIG", "EXEC", "INFO", "MULTI", "PING", "PUBLISH", "REPLICAOF", "SCRIPT", "SLAVEOF", "SUBSCRIBE"]
        {
            assert!(is_command(asked), "{asked}");
        }
    }

    #[test]
    fn a_name_of_another_command_is_refused_in_every_spelling() {
        for to in
            ["FLUSHALL", "flushall", "FlushDB", "SHUTDOWN", "SLAVEOF", "config", "EVAL", "FT.DROPINDEX", "ft.dropindex", "JSON.DEL", "VADD"]
        {
            assert_eq!(check_rename("PING", to), Err(BadRename::AnotherCommand), "{to}");
        }
        for (command, to) in
            [("CONFIG", "b840fc02d524045429941cc15f59e41cb7be6c52"), ("PING", "MYPING"), ("REPLICAOF", "slaveof"), ("PING", "ping")]
        {
            assert_eq!(check_rename(command, to), Ok(()), "{to}");
        }
        for to in ["", "a b", "a\r\nFLUSHALL", "caf\u{e9}", &"x".repeat(129)] {
            assert_eq!(check_rename("PING", to), Err(BadRename::Unprintable), "{to:?}");
        }
    }
}
