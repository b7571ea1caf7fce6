<?php
// predis as it comes, with its replication by sentinels.
require __DIR__ . '/told.php';
require 'Predis/Autoloader.php';
Predis\Autoloader::register();

say(['begin' => true]);
$client = null;
write_for_ever(function ($number) use (&$client) {
    $client ??= new Predis\Client(
        array_map(fn ($at) => "tcp://$at[0]:$at[1]?timeout=1", sentinels()),
        ['replication' => 'sentinel', 'service' => group(), 'parameters' => ['timeout' => 1, 'read_write_timeout' => 1]],
    );
    $client->set('predis', $number);
});
