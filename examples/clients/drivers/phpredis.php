<?php
// phpredis: the extension asks one sentinel, so the application goes through their list, as its manual shows.
require __DIR__ . '/told.php';

say(['begin' => true]);
$redis = null;
write_for_ever(function ($number) use (&$redis) {
    try {
        $redis ??= master();
        if ($redis->set('phpredis', $number) !== true) {
            throw new RuntimeException($redis->getLastError() ?? 'not set');
        }
    } catch (Throwable $error) {
        $redis = null;
        throw $error;
    }
});

function master(): Redis
{
    foreach (sentinels() as [$host, $port]) {
        try {
            $found = (new RedisSentinel($host, $port, 1))->getMasterAddrByName(group());
        } catch (RedisException) {
            continue;
        }
        if ($found) {
            $redis = new Redis();
            $redis->connect($found[0], (int) $found[1], 1);
            return $redis;
        }
    }
    throw new RuntimeException('no sentinel names a master');
}
