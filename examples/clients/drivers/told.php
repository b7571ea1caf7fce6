<?php
// One line of JSON for each write, as all drivers print them; the sentinels as host and port.

function group(): string
{
    return $GLOBALS['argv'][1];
}

function sentinels(): array
{
    return array_map(function ($word) {
        [$host, $port] = explode(':', $word);
        return [$host, (int) $port];
    }, array_slice($GLOBALS['argv'], 2));
}

function say(array $said): void
{
    fwrite(STDOUT, json_encode(['at' => microtime(true) * 1000] + $said, JSON_INVALID_UTF8_SUBSTITUTE) . "\n");
}

function write_for_ever(callable $write): void
{
    error_reporting(0);
    for ($number = 1; ; $number++) {
        try {
            $write($number);
            say(['ok' => true]);
        } catch (Throwable $error) {
            say(['error' => substr(get_class($error) . ': ' . $error->getMessage(), 0, 160)]);
        }
        usleep(10000);
    }
}
